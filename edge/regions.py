"""Boxes worth a look become square crops, crops packed canvases, and answers find the way back.

A canvas is one model input. One crop fills it alone; up to four share it as a 2x2 grid of cells
with gutters, so that many small changes cost one invocation. A crop is cut from the picture in the
camera's own format and only then converted and resized, straight into its cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.frame import Detections
from edge.geometry import Box, Boxes, Cell, area, clip, covered, greedy, grown, intersection, iou
from edge.picture import Picture
from edge.settings import RegionSettings

GREY = 127  # of gutters and letterboxes: the middle of the model's input range
MIN_INSIDE = 0.85  # share of a detection that must lie in its cell
MAX_WITHIN = 0.75  # of a smaller box inside a larger one: both are the same object
CUT_MARGIN_PX = 2.0  # a box that ends this near to a crop's border, on the canvas, is cut by it
TILE_OVERLAP = 0.125  # at least; of a tile's side


@dataclass(frozen=True, slots=True)
class Layout:
    """What one canvas shows: a cell for each crop.

    subjects_xyxy: (n, 4) float32, main pixels, what each crop was made to look at.
    """

    cells: tuple[Cell, ...]
    subjects_xyxy: Boxes


def merge(boxes_xyxy: Boxes, gap: float) -> tuple[Boxes, npt.NDArray[np.intp]]:
    """Joins the blobs that are probably fragments of one object.

    Two are joined where they touch after each was grown by the share `gap` of its own size, and so
    on until none do. Returns the joined boxes (m, 4) and, for each of the n given, which it is in.
    """
    count = len(boxes_xyxy)
    larger = grown(boxes_xyxy, gap)
    linked = intersection(larger, larger) > 0
    group = np.arange(count)
    if np.count_nonzero(linked) <= count:  # nothing touches, as in most frames
        return boxes_xyxy, group
    for _ in range(count):
        lowest = np.where(linked, group[None, :], count).min(axis=1, initial=count)
        if np.array_equal(lowest, group):
            break
        group = lowest
    leaders, owner = np.unique(group, return_inverse=True)
    merged = [
        np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)])
        for own in (boxes_xyxy[group == leader] for leader in leaders)
    ]
    return np.array(merged, np.float32).reshape(-1, 4), owner


def tiles(input_size: tuple[int, int], main_size: tuple[int, int]) -> list[Layout]:
    """Overlapping tiles of the model's own size (width, height), so that nothing is shrunk."""
    corners = [_starts(tile, side) for tile, side in zip(input_size, main_size, strict=True)]
    width, height = (min(a, b) for a, b in zip(input_size, main_size, strict=True))
    crops = [(x, y, x + width, y + height) for y in corners[1] for x in corners[0]]
    return [
        Layout((Cell(crop, (0, 0, *input_size)),), np.array([crop], np.float32)) for crop in crops
    ]


def _starts(tile_px: int, side_px: int) -> list[int]:
    if side_px <= tile_px:
        return [0]
    count = 1 + int(np.ceil((side_px - tile_px) / (tile_px * (1 - TILE_OVERLAP))))
    return [round(start) for start in np.linspace(0, side_px - tile_px, count)]


def square_crop(
    box_xyxy: Box, side_px: float, main_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The square around a box's centre, moved (or, at last, cut) to lie inside the picture."""
    x0, y0, x1, y1 = box_xyxy
    sides = [min(round(side_px), limit) for limit in main_size]
    starts = [
        min(max(round((low + high - side) / 2), 0), limit - side)
        for low, high, side, limit in zip((x0, y0), (x1, y1), sides, main_size, strict=True)
    ]
    return starts[0], starts[1], starts[0] + sides[0], starts[1] + sides[1]


class Packer:
    """Lays boxes out on canvases and fills one reused canvas with their pixels."""

    def __init__(
        self, settings: RegionSettings, input_size: tuple[int, int], main_size: tuple[int, int]
    ) -> None:
        """Sizes are (width, height): of the model's input and of the main picture."""
        self._settings = settings
        self._main_size = main_size
        width, height = input_size
        self._canvas: npt.NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        self._slot = (0, 0, width, height)
        gutter = settings.gutter_px
        w, h = (width - gutter) // 2, (height - gutter) // 2
        lefts, tops = (0, w + gutter), (0, h + gutter)
        self._quarters = [(x, y, x + w, y + h) for y in tops for x in lefts]

    @property
    def canvas(self) -> npt.NDArray[np.uint8]:
        """(height, width, 3) RGB uint8, as filled last: a view, for drawing."""
        return self._canvas

    def whole(self) -> Layout:
        """The whole picture, squeezed to the model's input as such models are trained."""
        width, height = self._main_size
        cell = Cell((0, 0, width, height), self._slot)
        return Layout((cell,), np.array([[0, 0, width, height]], np.float32))

    def next(self, boxes_xyxy: Boxes) -> tuple[Layout, npt.NDArray[np.bool_]]:
        """One canvas for the first box and for as many of those after it as are worth sharing.

        boxes_xyxy: (n, 4), n >= 1, main pixels, what is most worth a look first.
        Returns the canvas and (n,) whether each box can be seen on it.
        """
        chosen = [0]
        if self._settings.pack and self._fits_quarter(boxes_xyxy[0]):
            chosen = self._sharing(boxes_xyxy)
        slots = self._quarters if len(chosen) > 1 else [self._slot]
        cells = tuple(self._cell(boxes_xyxy[row], slots[i]) for i, row in enumerate(chosen))
        crops = np.array([cell.crop_xyxy for cell in cells], np.float32)
        seen = covered(boxes_xyxy, crops).max(axis=1) > 0.99
        seen[chosen] = True
        return Layout(cells, boxes_xyxy[chosen]), seen

    def fill(self, layout: Layout, picture: Picture) -> npt.NDArray[np.uint8]:
        """Paints the canvas: (height, width, 3) RGB uint8, overwritten by the next call."""
        self._canvas[:] = GREY
        for cell in layout.cells:
            x0, y0, x1, y1 = cell.cell_xyxy
            crop = picture.rgb(cell.crop_xyxy)
            smaller = x1 - x0 < crop.shape[1]
            cv2.resize(
                crop,
                (x1 - x0, y1 - y0),
                dst=self._canvas[y0:y1, x0:x1],
                interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR,
            )
        return self._canvas

    def _sharing(self, boxes_xyxy: Boxes) -> list[int]:
        """Rows of up to four boxes for a shared canvas; none that another's crop shows anyway."""
        chosen: list[int] = []
        crops = np.zeros((0, 4), np.float32)
        for row, box in enumerate(boxes_xyxy):
            shown = len(crops) > 0 and covered(box[None], crops).max() > 0.99
            if shown or not self._fits_quarter(box):
                continue
            chosen.append(row)
            crop = self._cell(box, self._quarters[0]).crop_xyxy
            crops = np.concatenate([crops, np.array([crop], np.float32)])
            if len(chosen) == len(self._quarters):
                break
        return chosen

    def _fits_quarter(self, box_xyxy: npt.NDArray[np.float32]) -> bool:
        x0, y0, x1, y1 = self._quarters[0]
        return self._wanted_side(box_xyxy) <= self._settings.max_shrink * min(x1 - x0, y1 - y0)

    def _wanted_side(self, box_xyxy: npt.NDArray[np.float32]) -> float:
        return self._settings.context * float((box_xyxy[2:] - box_xyxy[:2]).max())

    def _cell(
        self, box_xyxy: npt.NDArray[np.float32], slot_xyxy: tuple[int, int, int, int]
    ) -> Cell:
        """A crop with context that fills the slot; where the crop is cut, its aspect is kept."""
        x0, y0, x1, y1 = slot_xyxy
        least = min(x1 - x0, y1 - y0) / self._settings.max_enlarge
        side = max(self._wanted_side(box_xyxy), least)
        box: Box = tuple(box_xyxy.tolist())
        crop = square_crop(box, side, self._main_size)
        width, height = crop[2] - crop[0], crop[3] - crop[1]
        scale = min((x1 - x0) / width, (y1 - y0) / height)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = x0 + (x1 - x0 - w) // 2, y0 + (y1 - y0 - h) // 2
        return Cell(crop, (left, top, left + w, top + h))


def unpack(layout: Layout, found: Detections, main_size: tuple[int, int]) -> list[Detections]:
    """Detections on a canvas -> detections on the main picture, a list entry for each cell.

    Each belongs to the cell that holds most of it. What straddles a gutter is dropped, and so is
    what a crop cuts off inside the picture: it is a part of something.
    """
    cells = np.array([cell.cell_xyxy for cell in layout.cells], np.float32)
    inside = covered(found.boxes_xyxy, cells)
    owner = inside.argmax(axis=1)
    parts = []
    for index, cell in enumerate(layout.cells):
        own = found[(owner == index) & (inside[:, index] > MIN_INSIDE)]
        own = own[~_cut(own.boxes_xyxy, cell, main_size)]
        boxes = clip(cell.to_main(own.boxes_xyxy), *main_size)
        parts.append(Detections(boxes, own.scores, own.class_ids))
    return parts


def _cut(boxes_xyxy: Boxes, cell: Cell, main_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which canvas boxes touch a border of the crop that is no border of the picture."""
    crop, inner = cell.crop_xyxy, cell.cell_xyxy
    open_low = np.array(crop[:2]) > 0
    open_high = np.array(crop[2:]) < np.array(main_size)
    low = (boxes_xyxy[:, :2] < np.array(inner[:2]) + CUT_MARGIN_PX) & open_low
    high = (boxes_xyxy[:, 2:] > np.array(inner[2:]) - CUT_MARGIN_PX) & open_high
    return np.asarray((low | high).any(axis=1))


def combine(parts: Sequence[Detections], max_iou: float) -> Detections:
    """Detections of several crops -> one set, each object once.

    Per class, best score first, a box goes if a kept one from another crop overlaps it by more than
    `max_iou`, or if one of the two lies mostly inside the other: another view of the same object.
    Boxes of the same crop were told apart by the detector and stay.
    """
    found = Detections.concatenate(list(parts))
    if len(parts) < 2 or len(found) < 2:
        return found
    crop = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    boxes = found.boxes_xyxy
    smaller = np.minimum.outer(area(boxes), area(boxes))
    same = (iou(boxes, boxes) > max_iou) | (intersection(boxes, boxes) > MAX_WITHIN * smaller)
    same &= found.class_ids[:, None] == found.class_ids[None, :]
    same &= crop[:, None] != crop[None, :]
    return found[greedy(found.scores, same)]
