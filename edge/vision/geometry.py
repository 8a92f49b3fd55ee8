"""Boxes, IoU, NMS, polygons and crop transforms: pure functions on arrays.

Boxes are `(n, 4)` float32 `x0 y0 x1 y1`, in pixels unless stated otherwise; x1 and y1 are
exclusive, so that width is x1 - x0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
Polygon = Sequence[tuple[float, float]]
_TINY = np.finfo(np.float32).tiny  # avoids 0 / 0: an empty box shares nothing with any other


def area(boxes_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """(n, 4) -> (n,); a box with x1 < x0 or y1 < y0 has area 0."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersection(a_xyxy: Boxes, b_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """Areas shared: (n, 4), (m, 4) -> (n, m)."""
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def normalized(box_xyxy: Box, size: tuple[int, int]) -> Box:
    """A box in pixels as shares (0..1) of a picture of (width, height), clipped at its edges."""
    width, height = size
    x0, y0, x1, y1 = (
        round(min(max(value / side, 0.0), 1.0), 5)
        for value, side in zip(box_xyxy, (width, height, width, height), strict=True)
    )
    return x0, y0, x1, y1


def iou(a_xyxy: Boxes, b_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union: (n, 4), (m, 4) -> (n, m) in 0..1; 0 where both are empty."""
    shared = intersection(a_xyxy, b_xyxy)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - shared
    return np.asarray(shared / np.maximum(union, _TINY))


def covered(a_xyxy: Boxes, b_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """The share of each a that lies in each b: (n, 4), (m, 4) -> (n, m) in 0..1."""
    shared = intersection(a_xyxy, b_xyxy)
    return np.asarray(shared / np.maximum(area(a_xyxy), _TINY)[:, None])


def nms(
    boxes_xyxy: Boxes,
    scores: npt.NDArray[np.float32],
    class_ids: npt.NDArray[np.int64],
    max_iou: float,
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression per class.

    Returns the kept rows, best score first; equal scores keep the order of the input.
    """
    overlap = iou(boxes_xyxy, boxes_xyxy) > max_iou
    overlap &= class_ids[:, None] == class_ids[None, :]
    return greedy(scores, overlap)


def greedy(
    scores: npt.NDArray[np.float32], excludes: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Rows, best score first, without those that a kept one excludes: (n,), (n, n) -> (m,)."""
    gone = np.zeros(len(scores), np.bool_)
    kept = []
    for row in np.argsort(-scores, kind="stable"):
        if not gone[row]:
            kept.append(row)
            gone |= excludes[row]
    return np.array(kept, np.intp)


def grown(boxes_xyxy: Boxes, share: float) -> Boxes:
    """Boxes with a margin of this share of their own size on each side."""
    margin = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * share
    return np.concatenate([boxes_xyxy[:, :2] - margin, boxes_xyxy[:, 2:] + margin], axis=1)


def clip(boxes_xyxy: Boxes, width: float, height: float) -> Boxes:
    """Boxes cut at the edges of a picture."""
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(boxes_xyxy, 0, limit), np.float32)


def polygon_px(shares: Polygon, size: tuple[int, int]) -> Polygon:
    """Corners as shares of a picture of (width, height), in its pixels."""
    return [(x * size[0], y * size[1]) for x, y in shares]


def feet(box_xyxy: Box) -> tuple[float, float]:
    """The bottom centre of a box, where the object stands."""
    x0, _, x1, y1 = box_xyxy
    return (x0 + x1) / 2, y1


def point_in_polygon(x: float, y: float, polygon: Polygon) -> bool:
    """Even-odd rule (Shimrat, 1962); points on the left or top edge count as inside."""
    inside = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


@dataclass(frozen=True, slots=True)
class Cell:
    """A crop of the main picture and its place on a canvas: an exact affine map both ways.

    crop_xyxy: whole pixels of the main picture. cell_xyxy: whole pixels of the canvas.
    """

    crop_xyxy: tuple[int, int, int, int]
    cell_xyxy: tuple[int, int, int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per main pixel, (x, y)."""
        cx0, cy0, cx1, cy1 = self.crop_xyxy
        dx0, dy0, dx1, dy1 = self.cell_xyxy
        return (dx1 - dx0) / (cx1 - cx0), (dy1 - dy0) / (cy1 - cy0)

    def to_canvas(self, boxes_xyxy: Boxes) -> Boxes:
        """Main pixels -> canvas pixels, (n, 4)."""
        scale, crop, cell = self._terms()
        return np.asarray((boxes_xyxy - crop) * scale + cell, np.float32)

    def to_main(self, boxes_xyxy: Boxes) -> Boxes:
        """Canvas pixels -> main pixels, (n, 4)."""
        scale, crop, cell = self._terms()
        return np.asarray((boxes_xyxy - cell) / scale + crop, np.float32)

    def _terms(self) -> tuple[Boxes, Boxes, Boxes]:
        sx, sy = self.scale
        crop, cell = self.crop_xyxy[:2] * 2, self.cell_xyxy[:2] * 2
        return (
            np.array((sx, sy, sx, sy), np.float32),
            np.array(crop, np.float32),
            np.array(cell, np.float32),
        )
