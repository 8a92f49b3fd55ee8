"""Detects and follows everything that moves in footage of a fixed camera, without a model.

It uses the daemon's stages: frame differencing proposes blobs, fragments are joined, and the
tracker, for which each blob is an `object`, follows them over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.config.schema import Settings, TrackerSettings
from edge.vision.geometry import Boxes, grown
from edge.vision.motion import MotionDetector
from edge.vision.regions import merge
from edge.vision.tracker import Tracker
from edge.vision.types import Detections, Frame, Luma, SourceInfo, TrackState
from mobiledet.harvest.ghosts import edge_share
from mobiledet.harvest.trails import boxes_of

# These gave the figures in docs/training.md, "Quality of the harvest".
MERGE_GAP = 0.0  # joins blobs that touch; a larger gap joins people who walk near each other
HOLD_MARGIN = 0.1  # share of a mover's sides; held places keep its blob whole when it stops
LARGEST = 0.4  # share of the picture; a larger change is one of light
TRACKING = TrackerSettings(confirm_looks=3, max_misses=8, max_unseen_s=1.0)
# Below the tracker's sure_score, so that a single blob does not confirm a track.
STRONG, LABELS = 0.6, ("object",)


@dataclass(frozen=True, slots=True)
class Moving:
    """The moving places in one frame.

    boxes_xyxy: (n, 4) main pixels. ids: (n,) tracks. edges: (n,), see `ghosts.edge_share`.
    met: (n,) whether several known tracks share the box.
    """

    boxes_xyxy: Boxes
    ids: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float32]
    met: npt.NDArray[np.bool_]


class Candidates:
    """Takes the frames of one footage, in order of time."""

    def __init__(self, settings: Settings, info: SourceInfo) -> None:
        width, height = info.main_size
        self._motion = MotionDetector(settings.motion, info.luma_shape, info.main_size)
        self._tracker = Tracker(TRACKING, LABELS, STRONG, info.main_size)
        self._whole = np.array([[0, 0, width, height]], np.float32)
        self._to_luma = info.luma_size[0] / width, info.luma_size[1] / height
        self._largest_px = LARGEST * width * height

    @property
    def mask(self) -> Luma:
        """(h, w) uint8, 255 where the last frame's luma moves."""
        return self._motion.mask

    def prime(self, background: Luma, timestamp_ns: int) -> None:
        """Learns the empty scene, (h, w) uint8. timestamp_ns: a time before the first frame."""
        self._motion(background, timestamp_ns)

    def __call__(self, frame: Frame) -> Moving:
        blobs = self._motion(frame.luma, frame.timestamp_ns).blobs_xyxy
        boxes, _ = merge(blobs, MERGE_GAP)
        sides = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes[sides.prod(axis=1) < self._largest_px]
        self._tracker.predict(frame.timestamp_ns)
        count = len(boxes)
        blobs_as_objects = Detections(
            boxes, np.full(count, STRONG, np.float32), np.zeros(count, np.int64)
        )
        ids = self._tracker.update(blobs_as_objects, self._whole, frame.index)
        tracks = [t for t in self._tracker.tracks() if t.state is not TrackState.TENTATIVE]
        movers = boxes_of(track.box_xyxy for track in tracks if track.has_moved)
        self._motion.hold(grown(movers, HOLD_MARGIN))
        met = _count_centres(boxes_of(track.box_xyxy for track in tracks), boxes) > 1
        return Moving(boxes, ids, self._edges(boxes, frame.luma), met)

    def _edges(self, boxes_xyxy: Boxes, luma: Luma) -> npt.NDArray[np.float32]:
        background, mask = self._motion.background, self._motion.mask
        shares = [edge_share(luma, background, mask, box) for box in self._luma_boxes(boxes_xyxy)]
        return np.array(shares, np.float32)

    def _luma_boxes(self, boxes_xyxy: Boxes) -> list[tuple[int, int, int, int]]:
        scale = np.array(self._to_luma * 2, np.float32)
        rows = np.round(boxes_xyxy * scale).astype(int).tolist()
        return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]


def _count_centres(of_xyxy: Boxes, boxes_xyxy: Boxes) -> npt.NDArray[np.intp]:
    """For each of (n, 4) boxes, how many of (m, 4) have their centre in it: (n,)."""
    centres = (of_xyxy[:, :2] + of_xyxy[:, 2:]) / 2
    inside = (centres >= boxes_xyxy[:, None, :2]) & (centres < boxes_xyxy[:, None, 2:])
    return np.asarray(inside.all(axis=2).sum(axis=1))
