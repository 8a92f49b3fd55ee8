"""Hides parts of pictures: masks are painted black, objects are blurred."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Box
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import Frame

BLACK, COLOURLESS = 16, 128  # of luma and chroma, in limited range
# A face is a seventh of a person's height, so that about two cells remain of it.
CELLS = 12  # along the longer side of a blurred box
MIN_CELL_PX = 4  # of small boxes
MARGIN = 0.1  # by which a box is enlarged on each side, as boxes may cut off a head or feet

Polygon = Sequence[tuple[float, float]]


class Painter:
    """Paints masks black in frames of any size. Belongs to one thread.

    masks: polygons whose corners are shares of the picture. They may overlap.
    """

    def __init__(self, masks: Sequence[Polygon]) -> None:
        shares = [np.array(mask, np.float64) for mask in masks]
        self._corners = functools.lru_cache(maxsize=8)(functools.partial(_scaled, shares))

    def __call__(self, frame: Frame) -> Frame:
        """The frame without what is masked, and without packets, which can't be painted.

        Planes that can be written are painted in place. Read-only ones are copied first: a decoder
        needs them unchanged for its next pictures.
        """
        planes = tuple(map(_writable, frame.main.planes))
        luma = _writable(frame.luma)
        if frame.main.format in (PixelFormat.I420, PixelFormat.NV12):
            self._paint(planes[0], BLACK)
            for plane in planes[1:]:
                self._paint(plane, COLOURLESS)
        else:
            self._paint(planes[0], 0)
        self._paint(luma, BLACK)
        main = Picture(frame.main.format, planes)
        return replace(frame, luma=luma, main=main, packets=())

    def _paint(self, plane: Plane, value: int) -> None:
        """One by one: polygons that are filled together leave out what two of them cover."""
        for corners in self._corners(plane.shape[1], plane.shape[0]):
            cv2.fillPoly(plane, [corners], (value,) * 4)


def _scaled(
    masks: Sequence[npt.NDArray[np.float64]], width: int, height: int
) -> list[npt.NDArray[np.int32]]:
    """Corners as the pixels that hold them; OpenCV fills the edges, too."""
    return [np.floor(mask * [width, height]).astype(np.int32) for mask in masks]


def _writable(plane: Plane) -> Plane:
    return plane if plane.flags.writeable else plane.copy()


def blurred(image: Plane, boxes_xyxy: Iterable[Box]) -> Plane:
    """A copy of (h, w, 3) in which nothing within the boxes can be recognized.

    Each box, with a margin, becomes cells of one colour each. Boxes may reach beyond the picture.
    """
    hidden = image.copy()
    for x0, y0, x1, y1 in boxes_xyxy:
        margin_x, margin_y = (x1 - x0) * MARGIN, (y1 - y0) * MARGIN
        left, top = max(0, int(x0 - margin_x)), max(0, int(y0 - margin_y))
        part = hidden[top : max(0, int(y1 + margin_y) + 1), left : max(0, int(x1 + margin_x) + 1)]
        if not part.size:
            continue
        height, width = part.shape[:2]
        cell_px = max(MIN_CELL_PX, max(height, width) / CELLS)
        cells = max(1, round(width / cell_px)), max(1, round(height / cell_px))
        small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return hidden
