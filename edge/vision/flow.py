"""Follows tracked objects from frame to frame without a detector: sparse optical flow.

A few points inside each box are followed on the luma plane (Lucas-Kanade pyramids; Bouguet,
"Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000), and their median is the shift
of the box (Kalal et al., "Forward-Backward Error", 2010, there called median flow).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes
from edge.vision.types import Luma

# Chosen by F1 and cost on PETS in both directions; their effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
COLUMNS, ROWS = 3, 5  # points across and down a box
INSET = 0.25  # share of a box, on every side, that is background
MIN_POINTS = 4  # a median of fewer points is not reliable
WINDOW_PX = 11  # side of a point's neighbourhood; a person is about 30 px wide on the luma plane
LEVELS = 2  # levels of the pyramid above the first
REACH_PX = 16  # luma pixels; a point moves less from frame to frame
MAX_ITERATIONS, MIN_STEP_PX = 10, 0.05  # Lucas-Kanade's limits at each level
TERMINATION = (
    cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT,
    MAX_ITERATIONS,
    MIN_STEP_PX,
)

Shifts = npt.NDArray[np.float32]


class Flow:
    """Follows boxes from one luma plane to the next; planes are of one fixed size."""

    def __init__(self, luma_shape: tuple[int, int], main_size: tuple[int, int]) -> None:
        """`luma_shape` is (height, width), `main_size` (width, height)."""
        height, width = luma_shape
        self._size = np.array([width, height], np.float32)
        self._to_main = np.array(main_size, np.float32) / self._size
        self._before: Luma = np.zeros(luma_shape, np.uint8)
        self._mask_before: Luma = np.zeros(luma_shape, np.uint8)
        across = np.linspace(INSET, 1 - INSET, COLUMNS, dtype=np.float32)
        down = np.linspace(INSET, 1 - INSET, ROWS, dtype=np.float32)
        self._grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)

    def keep(self, luma: Luma, mask: Luma) -> None:
        """Copies a frame, to follow boxes from it to the next; only frames with tracks need it.

        luma: (h, w) uint8. mask: (h, w) uint8, 255 in the blobs.
        """
        np.copyto(self._before, luma)
        np.copyto(self._mask_before, mask)

    def __call__(self, luma: Luma, boxes_xyxy: Boxes) -> Shifts:
        """Follows boxes from the frame that was kept last.

        luma: (h, w) uint8. boxes_xyxy: (n, 4) where the boxes were in that frame, main pixels.
        Returns (n, 2) main pixels by which each box moved, NaN where it could not be followed.
        """
        shifts = np.full((len(boxes_xyxy), 2), np.nan, np.float32)
        if len(boxes_xyxy):
            points, usable = self._points(boxes_xyxy)
            for row in np.flatnonzero(usable.any(axis=1)):
                self._follow(luma, points[row][usable[row]], shifts[row])
            shifts *= self._to_main
        return shifts

    def _follow(self, luma: Luma, points: npt.NDArray[np.float32], shift: Shifts) -> None:
        """Median shift of (m, 2) points, searched for within their reach.

        One box at a time: pyramids of the whole plane would cost more than those of all boxes.
        """
        low = np.maximum(points.min(axis=0).astype(np.intp) - REACH_PX, 0)
        high = points.max(axis=0).astype(np.intp) + REACH_PX
        around = np.s_[low[1] : high[1], low[0] : high[0]]
        points = points - low.astype(np.float32)
        after, status, _ = cv2.calcOpticalFlowPyrLK(
            self._before[around],
            luma[around],
            points,
            None,  # type: ignore[call-overload]
            winSize=(WINDOW_PX, WINDOW_PX),
            maxLevel=LEVELS,
            criteria=TERMINATION,
        )
        moved = (after - points)[status[:, 0] == 1]
        if len(moved) >= MIN_POINTS:
            moved.sort(axis=0)  # np.median takes ten times as long for these few
            shift[:] = (moved[len(moved) // 2] + moved[(len(moved) - 1) // 2]) / 2

    def _points(self, boxes_xyxy: Boxes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """(n, points, 2) luma pixels in each box, and (n, points) which of them to follow.

        Only points on the object are followed: in a blob, and in no box that is nearer to the
        camera. Otherwise a box would stay at the post or the person that hides its object. If too
        few points are left, none is followed, and the track keeps its velocity.
        """
        low, high = boxes_xyxy[:, None, :2], boxes_xyxy[:, None, 2:]
        places = low + (high - low) * self._grid
        points = places / self._to_main
        inside = ((points >= 1) & (points < self._size - 1)).all(axis=2)
        x, y = np.where(inside[..., None], points, 0).astype(np.intp).transpose(2, 0, 1)
        visible = inside & (self._mask_before[y, x] > 0) & ~_hidden(places, boxes_xyxy)
        return points, visible & (visible.sum(axis=1, keepdims=True) >= MIN_POINTS)


def _hidden(places: npt.NDArray[np.float32], boxes_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    """(n, points): whether another box hides each point (n, points, 2) of a box.

    On level ground an object that is nearer to the camera ends lower in the picture.
    """
    within = (places[:, :, None] > boxes_xyxy[:, :2]) & (places[:, :, None] < boxes_xyxy[:, 2:])
    nearer = boxes_xyxy[None, :, 3] > boxes_xyxy[:, None, 3]
    return np.asarray((within.all(axis=3) & nearer[:, None, :]).any(axis=2))
