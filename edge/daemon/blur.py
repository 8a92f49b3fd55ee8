"""Where the objects are that stills and thumbnails show blurred."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from edge.config.schema import MOTION_LABEL
from edge.daemon.publish import Classes
from edge.vision.geometry import Box
from edge.vision.pipeline import Analysis

# More than two minutes at 30 frames/s, as the frame of a best look may be kept for a while.
MAX_FRAMES = 4096
WHOLE: Box = (0.0, 0.0, 1e5, 1e5)  # any picture
MAX_TRACKS = 1024  # with a label that is blurred; more than these frames have
_BY_ITSELF = 0  # in the place of a track's id: the box of a detection or of motion


class BlurredBoxes:
    """Boxes of the last frames. The analysis thread adds them, the writing thread reads them."""

    def __init__(self, labels: Sequence[str], classes: Classes) -> None:
        """labels: also groups, and `motion` for all that moves. classes: those of the model."""
        self._labels = frozenset(labels)
        self._class_ids = {n for n, names in enumerate(classes) if self._labels & {*names}}
        self._frames: deque[tuple[int, tuple[tuple[int, Box], ...]]] = deque(maxlen=MAX_FRAMES)
        self._tracks: dict[int, None] = {}  # ids in the order in which they got such a label
        self._lock = threading.Lock()

    def add(self, analysis: Analysis) -> None:
        """Keeps the boxes of a frame: of tracks, confirmed or not, and of single detections."""
        if not self._labels:
            return
        boxes = tuple(self._boxes(analysis))
        found = (t.id for t in analysis.tracks if self._labels & {t.label, t.group})
        with self._lock:
            self._frames.append((analysis.frame.timestamp_ns, boxes))
            self._tracks |= dict.fromkeys(found)
            while len(self._tracks) > MAX_TRACKS:
                del self._tracks[next(iter(self._tracks))]

    def __call__(self, timestamp_ns: int) -> tuple[Box, ...]:
        """In pixels of the main picture, at the frame of that time.

        A frame that was not analysed, or not yet, gets those of the frames before and after it. A
        track that had another label then counts by the label that it got since. If the frame is
        so old that its boxes are forgotten, the whole picture is blurred.
        """
        if not self._labels:
            return ()
        with self._lock:
            frames, tracks = tuple(self._frames), {_BY_ITSELF, *self._tracks}
        if len(frames) == MAX_FRAMES and timestamp_ns < frames[0][0]:
            return (WHOLE,)
        before = [boxes for at_ns, boxes in frames if at_ns <= timestamp_ns][-1:]
        after = [boxes for at_ns, boxes in frames if at_ns >= timestamp_ns][:1]
        seen = (pair for boxes in before + after for pair in boxes)
        return tuple(dict.fromkeys(box for track_id, box in seen if track_id in tracks))

    def _boxes(self, analysis: Analysis) -> Iterator[tuple[int, Box]]:
        """Each with the id of its track."""
        for track in analysis.tracks:
            yield track.id, track.box_xyxy
        boxes = analysis.detections.boxes_xyxy.tolist()
        for class_id, (x0, y0, x1, y1) in zip(analysis.detections.class_ids, boxes, strict=True):
            if class_id in self._class_ids:
                yield _BY_ITSELF, (x0, y0, x1, y1)
        if MOTION_LABEL in self._labels:
            for x0, y0, x1, y1 in analysis.motion.blobs_xyxy.tolist():
                yield _BY_ITSELF, (x0, y0, x1, y1)
