"""Turns boxes into crops on canvases, and detections on a canvas into boxes in the picture.

A canvas is one model input. One crop fills it alone, or several share it as a grid of cells with
gutters, so that many small changes cost one invocation: four square cells, six upright ones for
people, or six wide ones for cars and animals. A crop has the shape of its cell. It is cut from the
picture in the camera's own format and then converted and resized straight into its cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import RegionSettings
from edge.vision.geometry import Boxes, Cell, area, clip, covered, greedy, grown, intersection, iou
from edge.vision.picture import Picture
from edge.vision.types import Detections

GREY = 127  # fills gutters and letterboxes: the middle of the model's input range
# Chosen by F1 and invocations on PETS and TUD-Campus; their effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
MIN_INSIDE = 0.85  # share of a detection that must lie in its cell
MAX_WITHIN = 0.75  # share of a smaller box inside a larger one, above which both are one object
GRIDS = ((2, 2), (3, 2), (2, 3))  # columns and rows of a canvas; the first of equals is used
SHOWN = 0.99  # share of a box inside a crop, above which the crop shows it
CUT_MARGIN_PX = 2.0  # canvas pixels: a detection this close to a crop's border is cut by it
TILE_OVERLAP = 0.125  # minimum, as a share of a tile's side


@dataclass(frozen=True, slots=True)
class Layout:
    """The contents of one canvas: a cell for each crop.

    subjects_xyxy: (n, 4) float32, main pixels, the place that each crop was made for.
    """

    cells: tuple[Cell, ...]
    subjects_xyxy: Boxes


def merge(boxes_xyxy: Boxes, gap: float) -> tuple[Boxes, npt.NDArray[np.intp]]:
    """Joins blobs that are probably fragments of one object.

    Two blobs are joined if they touch when each is grown by the share `gap` of its size; so are
    chains of such blobs. Returns the joined boxes (m, 4) and, for each of the n blobs, the row
    of the box that it is in.
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
        np.concatenate([blobs[:, :2].min(axis=0), blobs[:, 2:].max(axis=0)])
        for blobs in (boxes_xyxy[group == leader] for leader in leaders)
    ]
    return np.array(merged, np.float32).reshape(-1, 4), owner


def tiles(
    input_size: tuple[int, int],
    main_size: tuple[int, int],
    *,
    enlarged: float = 1.0,
    overlap: float = TILE_OVERLAP,
) -> list[Layout]:
    """Overlapping tiles of the picture; sizes are (width, height).

    enlarged: canvas pixels per main pixel; at 1 nothing is shrunk. overlap: minimum, as a share of
    a tile's side.
    """
    width, height = (
        min(round(tile / enlarged), side) for tile, side in zip(input_size, main_size, strict=True)
    )
    lefts, tops = (
        _starts(tile, side, overlap) for tile, side in zip((width, height), main_size, strict=True)
    )
    crops = [(x, y, x + width, y + height) for y in tops for x in lefts]
    return [
        Layout((Cell(crop, (0, 0, *input_size)),), np.array([crop], np.float32)) for crop in crops
    ]


def _starts(tile_px: int, side_px: int, overlap: float) -> list[int]:
    count = 1 + int(np.ceil((side_px - tile_px) / (tile_px * (1 - overlap))))
    return [round(start) for start in np.linspace(0, side_px - tile_px, count)]


def crops_around(
    boxes_xyxy: Boxes, sizes_px: npt.NDArray[np.float32], main_size: tuple[int, int]
) -> npt.NDArray[np.intp]:
    """A crop around each box's centre, moved to lie in the picture.

    A crop that is larger than the picture is made smaller, in the same shape, as long as it shows
    its box: a strip as long as the picture would show the object small, between grey bars.
    boxes_xyxy: (n, 4). sizes_px: (..., n, 2) and main_size are (width, height).
    Returns (..., n, 4), xyxy.
    """
    limits = np.array(main_size, np.float32)
    shrunk = sizes_px * np.minimum(limits / sizes_px, 1).min(axis=-1, keepdims=True)
    needed = np.minimum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], np.minimum(sizes_px, limits))
    sides = np.rint(np.maximum(shrunk, needed))
    starts = np.rint((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:] - sides) / 2)
    starts = np.minimum(np.maximum(starts, 0), limits - sides)
    return np.asarray(np.concatenate([starts, starts + sides], axis=-1), np.intp)


Slot = tuple[int, int, int, int]


def _grid(columns: int, rows: int, size: tuple[int, int], gutter_px: int) -> list[Slot]:
    """Slots of equal size on a canvas of (width, height), row by row."""
    w = (size[0] - gutter_px * (columns - 1)) // columns
    h = (size[1] - gutter_px * (rows - 1)) // rows
    corners = [
        (c * (w + gutter_px), r * (h + gutter_px)) for r in range(rows) for c in range(columns)
    ]
    return [(x, y, x + w, y + h) for x, y in corners]


class Packer:
    """Lays boxes out on canvases and fills one reused canvas with their pixels."""

    def __init__(
        self, settings: RegionSettings, input_size: tuple[int, int], main_size: tuple[int, int]
    ) -> None:
        """Sizes are (width, height): of the model's input and of the main picture."""
        self._main_size = main_size
        width, height = input_size
        self._canvas: npt.NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        self._slot: Slot = (0, 0, width, height)
        self.apply(settings)

    def apply(self, settings: RegionSettings) -> None:
        """Uses new settings from the next canvas on."""
        grids = GRIDS if settings.pack else ()
        size = (self._slot[2], self._slot[3])
        self._settings = settings
        self._grids = [[self._slot], *(_grid(*one, size, settings.gutter_px) for one in grids)]

    def whole(self) -> Layout:
        """The whole picture, squeezed to the shape of the model's input, as in its training."""
        width, height = self._main_size
        cell = Cell((0, 0, width, height), self._slot)
        return Layout((cell,), np.array([[0, 0, width, height]], np.float32))

    def next(
        self, boxes_xyxy: Boxes, single: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Layout, npt.NDArray[np.bool_]]:
        """One canvas for the first box and as many of the next ones as can share it.

        boxes_xyxy: (n, 4), n >= 1, main pixels, the most important first.
        single: (n,) whether a box holds one object, which fills a cell of any scale; the others may
            hold several, which `max_shrink` keeps from becoming too small.
        Returns the layout and (n,) whether each box is visible on it.
        """
        crops, fits = self._crops(boxes_xyxy)
        if single is not None:
            fits |= single
        shown = covered(boxes_xyxy, crops.reshape(-1, 4).astype(np.float32)) > SHOWN
        shown = shown.reshape(len(boxes_xyxy), *crops.shape[:2])
        best, chosen = 0, [0]
        for number, grid in enumerate(self._grids[1:], 1):
            sharing = _sharing(fits[number].tolist(), shown[:, number].tolist(), len(grid))
            if len(sharing) > len(chosen):
                best, chosen = number, sharing
        placed = zip(crops[best, chosen].tolist(), self._grids[best], strict=False)
        cells = tuple(_placed(crop, slot) for crop, slot in placed)
        visible = shown[:, best, chosen].any(axis=1)
        visible[chosen] = True
        return Layout(cells, boxes_xyxy[chosen]), visible

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

    def _crops(self, boxes_xyxy: Boxes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """For each grid, the part of the picture that a slot shows around each box.

        Returns (grids, n, 4), and (grids, n) whether the box and its context fit the slot.
        """
        slots = np.array([_sides(grid[0]) for grid in self._grids])[:, None]
        needed = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / slots
        # Main pixels per canvas pixel.
        shrink = needed.max(axis=-1, keepdims=True) * np.float32(self._settings.context)
        least = np.float32(1 / self._settings.max_enlarge)
        crops = crops_around(boxes_xyxy, np.maximum(shrink, least) * slots, self._main_size)
        return crops, shrink[..., 0] <= self._settings.max_shrink


def _sharing(fits: list[bool], shown: list[list[bool]], slots: int) -> list[int]:
    """Rows of boxes for a grid: the first, and others that no chosen crop shows already.

    There are none if the first doesn't fit. fits: whether each box fits a slot. shown: for each
    box, whether the crop of each box shows it.
    """
    chosen: list[int] = []
    for row, is_shown in enumerate(shown):
        if fits[row] and not any(is_shown[other] for other in chosen):
            chosen.append(row)
        if not chosen or len(chosen) == slots:
            break
    return chosen


def _sides(slot_xyxy: Slot) -> npt.NDArray[np.float32]:
    x0, y0, x1, y1 = slot_xyxy
    return np.array([x1 - x0, y1 - y0], np.float32)


def _placed(crop_xyxy: list[int], slot_xyxy: Slot) -> Cell:
    """A crop fills its slot; a crop cut by the picture keeps its aspect, centred in the slot."""
    x0, y0, x1, y1 = slot_xyxy
    left, top, right, bottom = crop_xyxy
    width, height = right - left, bottom - top
    scale = min((x1 - x0) / width, (y1 - y0) / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    x, y = x0 + (x1 - x0 - w) // 2, y0 + (y1 - y0 - h) // 2
    return Cell((left, top, right, bottom), (x, y, x + w, y + h))


def unpack(layout: Layout, detections: Detections, main_size: tuple[int, int]) -> list[Detections]:
    """Detections on a canvas -> detections on the main picture, one list entry per cell.

    Each belongs to the cell that holds most of it. Detections across a gutter are dropped, and so
    are those that a crop cuts inside the picture: they are parts of objects.
    """
    cells = np.array([cell.cell_xyxy for cell in layout.cells], np.float32)
    crops = np.array([cell.crop_xyxy for cell in layout.cells], np.float32)
    inside = covered(detections.boxes_xyxy, cells)
    owner = inside.argmax(axis=1)
    cut = _cut(detections.boxes_xyxy, crops[owner], cells[owner], main_size)
    kept = (inside.max(axis=1) > MIN_INSIDE) & ~cut
    found, owner = detections[kept], owner[kept]
    scale = (cells[:, 2:] - cells[:, :2]) / (crops[:, 2:] - crops[:, :2])
    corners = found.boxes_xyxy.reshape(-1, 2, 2) - cells[owner, None, :2]
    corners = corners / scale[owner, None] + crops[owner, None, :2]
    found = replace(found, boxes_xyxy=clip(corners.reshape(-1, 4), *main_size))
    return [found[owner == number] for number in range(len(cells))]


def _cut(
    boxes_xyxy: Boxes, crops_xyxy: Boxes, cells_xyxy: Boxes, main_size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """(n,) whether each canvas box touches a border of its crop that isn't the picture's border.

    All are (n, 4): boxes and cells in canvas pixels, crops in pixels of the picture.
    """
    low = boxes_xyxy[:, :2] < cells_xyxy[:, :2] + CUT_MARGIN_PX
    high = boxes_xyxy[:, 2:] > cells_xyxy[:, 2:] - CUT_MARGIN_PX
    cut = (low & (crops_xyxy[:, :2] > 0)) | (high & (crops_xyxy[:, 2:] < main_size))
    return np.asarray(cut.any(axis=1))


def combine(parts: Sequence[Detections], max_iou: float) -> Detections:
    """Detections of several crops -> one set with each object once.

    Per class, best score first, a box is dropped if a kept box of another crop overlaps it by more
    than `max_iou`, or if one of the two lies mostly inside the other: both show the same object.
    Boxes of the same crop were separated by the detector and stay.
    """
    detections = Detections.concatenate(list(parts))
    if len(parts) < 2 or len(detections) < 2:
        return detections
    crop = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    boxes = detections.boxes_xyxy
    smaller = np.minimum.outer(area(boxes), area(boxes))
    same = (iou(boxes, boxes) > max_iou) | (intersection(boxes, boxes) > MAX_WITHIN * smaller)
    same &= detections.class_ids[:, None] == detections.class_ids[None, :]
    same &= crop[:, None] != crop[None, :]
    return detections[greedy(detections.scores, same)]
