"""The default boxes of SSD, and the object that each has to predict (Liu et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.vision.detector.layouts.ssd import encode_boxes
from edge.vision.detector.model_file import Anchors
from edge.vision.geometry import Boxes, covered, iou
from mobiledet.design import BOX_SCALES, Design

RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)  # width to height, as in the paper
PER_CELL = len(RATIOS) + 1  # the last is a square between this map's scale and the next one's
MATCH_IOU = 0.5  # as in the paper
NEAR_IOU = 0.4  # an anchor between this and a match is ignored (Lin et al., 2017)
IGNORED, BACKGROUND = -1, 0


# TensorFlow's published SSD models (Liu et al., 2016): even steps between these sides, and on the
# first map only three shapes, the first of them half as large.
TENSORFLOW_SCALES, TENSORFLOW_SMALLEST = (0.2, 0.95), 0.1
TENSORFLOW_FIRST = 3  # shapes a cell of the first map


def anchors_of(design: Design) -> Anchors:
    """(n, 4) float32 cy cx h w in 0..1, in the order of the network's outputs."""
    if design.anchors == "tensorflow":
        return tensorflow_anchors(design.map_sizes)
    return make_anchors(design.map_sizes, design.scales)


def per_cell(design: Design, number: int) -> int:
    """Anchors in each cell of a map, by the map's number from 0."""
    return TENSORFLOW_FIRST if design.anchors == "tensorflow" and number == 0 else PER_CELL


def make_anchors(map_sizes: Sequence[int], scales: tuple[float, float]) -> Anchors:
    """(n, 4) float32 cy cx h w in 0..1: for each map, row, column, then `PER_CELL` shapes.

    scales: side of the first and of the last map's anchors. Each side is the same multiple of the
    one before. With SSD's even steps, the first step between few maps would be so large that an
    object between two sides has an IoU of 0.5 with neither.
    """
    sides = np.append(np.geomspace(*scales, len(map_sizes)), 1.0)
    parts = []
    for cells, side, next_side in zip(map_sizes, sides, sides[1:], strict=False):
        shapes = [(side / ratio**0.5, side * ratio**0.5) for ratio in RATIOS]
        shapes.append(((side * next_side) ** 0.5,) * 2)
        parts.append(in_each_cell(cells, shapes))
    return np.concatenate(parts)


def tensorflow_anchors(map_sizes: Sequence[int]) -> Anchors:
    """The anchors of TensorFlow's published SSD models, ordered like those of `make_anchors`."""
    sides = np.append(np.linspace(*TENSORFLOW_SCALES, len(map_sizes)), 1.0)
    parts = []
    for number, (cells, side, next_side) in enumerate(
        zip(map_sizes, sides, sides[1:], strict=False)
    ):
        shapes = [(side / ratio**0.5, side * ratio**0.5) for ratio in RATIOS]
        if number == 0:
            shapes = [(TENSORFLOW_SMALLEST,) * 2, *shapes[1:TENSORFLOW_FIRST]]
        else:
            shapes.append(((side * next_side) ** 0.5,) * 2)
        parts.append(in_each_cell(cells, shapes))
    return np.concatenate(parts)


def in_each_cell(cells: int, shapes: Sequence[tuple[float, ...]]) -> Anchors:
    """Anchors of these heights and widths around the centre of each cell of a map."""
    centres = (np.arange(cells) + 0.5) / cells
    cy, cx = np.meshgrid(centres, centres, indexing="ij")
    grid = np.empty((cells, cells, len(shapes), 4), np.float32)
    grid[..., 0], grid[..., 1] = cy[..., None], cx[..., None]
    grid[..., 2:] = np.array(shapes)
    return grid.reshape(-1, 4)


def corners(anchors: Anchors) -> Boxes:
    """(n, 4) anchors cy cx h w -> (n, 4) boxes x0 y0 x1 y1."""
    centre, half = anchors[:, [1, 0]], anchors[:, [3, 2]] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


@dataclass(frozen=True, slots=True)
class Targets:
    """The output that the network should have for one picture.

    codes: (n, 4) float32, box codes, 0 where there is no object. classes: (n,) int32, the class id
    plus 1, or BACKGROUND, or IGNORED.
    """

    codes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int32]


def assigned(
    anchors: Anchors,
    boxes_xyxy: Boxes,
    class_ids: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int32],
) -> Targets:
    """The targets where each anchor predicts its owner, a row of the boxes, or nothing for -1.

    classes: (n,) BACKGROUND or IGNORED for the anchors without an owner; changed in place.
    """
    codes = np.zeros((len(anchors), 4), np.float32)
    rows = np.flatnonzero(owner >= 0)
    classes[rows] = class_ids[owner[rows]] + 1
    codes[rows] = encode_boxes(boxes_xyxy[owner[rows]], anchors[rows], BOX_SCALES)
    return Targets(codes, classes)


def match(
    anchors: Anchors, boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes
) -> Targets:
    """Gives each anchor the object that it overlaps most, if their IoU is at least MATCH_IOU.

    boxes_xyxy: (m, 4), ignored_xyxy: (k, 4), both in 0..1 of the picture. Each object gets at least
    the anchor that fits it best.
    """
    anchors_xyxy = corners(anchors)
    classes = np.full(len(anchors), BACKGROUND, np.int32)
    if len(ignored_xyxy):
        classes[covered(anchors_xyxy, ignored_xyxy).max(axis=1) > MATCH_IOU] = IGNORED
    if len(boxes_xyxy) == 0:
        return assigned(anchors, boxes_xyxy, class_ids, np.full(len(anchors), -1), classes)
    overlap = iou(anchors_xyxy, boxes_xyxy)
    for _ in range(len(boxes_xyxy)):  # the closest pair first, and no two objects get one anchor
        free = np.where(overlap.max(axis=1, keepdims=True) > 1, -1, overlap)
        free[:, overlap.max(axis=0) > 1] = -1
        overlap[np.unravel_index(free.argmax(), free.shape)] = 2.0
    owner, best = overlap.argmax(axis=1), overlap.max(axis=1)
    classes[(best >= NEAR_IOU) & (best < MATCH_IOU)] = IGNORED
    owner = np.where(best >= MATCH_IOU, owner, -1)
    return assigned(anchors, boxes_xyxy, class_ids, owner, classes)
