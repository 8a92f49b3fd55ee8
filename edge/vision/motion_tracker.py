"""Follows motion that no track explains, for rules on the label `motion`.

An object that the model does not know, such as an animal that it was not trained on, still moves.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.config.schema import LOOKS_KEPT, MOTION_LABEL
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, grown, iou
from edge.vision.kalman import BoxFilter
from edge.vision.types import Look, Track, TrackState

# Chosen, not tuned.
UNEXPLAINED_S: Final = 1.0  # the detector has named nine of ten newcomers by then
LOOK_S: Final = 0.2  # time between two looks, each of which costs a copy of the frame
LOST_S: Final = 0.6  # an object that pauses or is hidden for longer is another one afterwards
MIN_ACTIVITY: Final = 0.05  # below it a blob stands still: a ghost, or an object that stays
EXPLAINED: Final = 0.3  # share of a blob in the boxes of tracks that explains it
REACH: Final = 0.5  # how far, in shares of its size, an object may move between two frames
MAX_OBJECTS: Final = 32  # as many as there are blobs in a frame

_UNKNOWN_SHIFT: Final = (math.nan, math.nan)


class _Moving:
    """A blob over time."""

    def __init__(self, number: int, box_xyxy: Box, timestamp_ns: int) -> None:
        self.number = number
        self.shape = BoxFilter(box_xyxy)
        self.first_ns = self.last_ns = timestamp_ns
        self.looks: deque[Look] = deque(maxlen=LOOKS_KEPT)

    def needs_look(self, timestamp_ns: int) -> bool:
        """Whether it is seen at this frame, old enough, and the latest look is old enough."""
        if self.last_ns != timestamp_ns:
            return False
        if timestamp_ns - self.first_ns < UNEXPLAINED_S * NS_PER_S:
            return False
        return not self.looks or timestamp_ns - self.looks[-1].timestamp_ns >= LOOK_S * NS_PER_S

    def look(self, frame_index: int, timestamp_ns: int) -> None:
        box = self.shape.box_xyxy
        self.looks.append(Look(frame_index, timestamp_ns, box, 1.0, MOTION_LABEL))

    def snapshot(self) -> Track:
        return Track(
            id=self.number,
            label=MOTION_LABEL,
            score=1.0,
            box_xyxy=self.shape.box_xyxy,
            velocity_px_s=self.shape.velocity_px_s,
            state=TrackState.MOVING,
            first_ns=self.first_ns,
            last_seen_ns=self.last_ns,
            has_moved=self.shape.has_moved,
            looks=tuple(self.looks),
        )


class MotionTracker:
    """Follows blobs by overlap with their predicted boxes.

    A blob takes part while it is active and no track explains it. It becomes a track with the
    label `motion` once it has lasted for UNEXPLAINED_S. Its id is negative, unlike any other's.
    """

    def __init__(self) -> None:
        self._objects: list[_Moving] = []
        self._count = 0
        self._previous_ns: int | None = None

    def __call__(
        self,
        blobs_xyxy: Boxes,
        activity: npt.NDArray[np.float32],
        tracks: Sequence[Track],
        frame_index: int,
        timestamp_ns: int,
    ) -> tuple[Track, ...]:
        """The unexplained objects. Those with a blob get a look at this frame, if one is due.

        blobs_xyxy: (n, 4), joined fragments, in main pixels. activity: (n,) in 0..1, as `Motion`.
        """
        self._predict(timestamp_ns)
        self._objects = [o for o in self._objects if timestamp_ns - o.last_ns <= LOST_S * NS_PER_S]
        blobs = blobs_xyxy[activity >= MIN_ACTIVITY]
        if tracks and len(blobs):
            known = np.array([track.box_xyxy for track in tracks], np.float32)
            blobs = blobs[covered(blobs, known).sum(axis=1) < EXPLAINED]
            kept = covered(self._boxes_xyxy, known).sum(axis=1) < EXPLAINED
            self._objects = [one for one, keeps in zip(self._objects, kept, strict=True) if keeps]
        self._match(blobs, timestamp_ns)
        for moving in self._objects:
            if moving.needs_look(timestamp_ns):
                moving.look(frame_index, timestamp_ns)
        return tuple(moving.snapshot() for moving in self._objects if moving.looks)

    def begin_scene(self) -> None:
        """The next frame has another size, and all objects are new."""
        self._objects = []

    @property
    def _boxes_xyxy(self) -> Boxes:
        boxes = [moving.shape.box_xyxy for moving in self._objects]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def _predict(self, timestamp_ns: int) -> None:
        if self._previous_ns is not None:
            dt_s = (timestamp_ns - self._previous_ns) / NS_PER_S
            for moving in self._objects:
                moving.shape.predict(dt_s, _UNKNOWN_SHIFT, 0.0)
        self._previous_ns = timestamp_ns

    def _match(self, blobs_xyxy: Boxes, timestamp_ns: int) -> None:
        """Gives each object, the oldest first, the blob that overlaps it most; others are new."""
        free = list(range(len(blobs_xyxy)))
        if self._objects and free:
            overlap = iou(grown(self._boxes_xyxy, REACH), blobs_xyxy)
            for row, moving in enumerate(self._objects):
                best = max(free, key=lambda blob: overlap[row, blob], default=None)
                if best is not None and overlap[row, best] > 0:
                    free.remove(best)
                    moving.shape.correct(_box(blobs_xyxy[best]))
                    moving.last_ns = timestamp_ns
        for blob in free[: MAX_OBJECTS - len(self._objects)]:
            self._count += 1
            self._objects.append(_Moving(-self._count, _box(blobs_xyxy[blob]), timestamp_ns))


def _box(row: npt.NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1
