"""Computes the sizes of a frame's two views and its luma plane, alike for all sources."""

from __future__ import annotations

import cv2
import numpy as np

from edge.vision.picture import Picture
from edge.vision.types import Luma


def even(length: int) -> int:
    """The next even number down: chroma has half the resolution."""
    return length & ~1


def luma_size(width: int, height: int, luma_width_px: int) -> tuple[int, int]:
    """(width, height) of the plane for motion: same aspect, at most as large as the picture."""
    narrow = min(luma_width_px, width)
    return narrow, max(2, round(height * narrow / width))


def luma_of(picture: Picture, luma_width_px: int) -> Luma:
    """A new (h, w) uint8 plane, averaged over areas, which reduces noise."""
    size = luma_size(picture.width, picture.height, luma_width_px)
    return np.asarray(cv2.resize(picture.luma(), size, interpolation=cv2.INTER_AREA), np.uint8)
