"""Colours of detected objects, as histograms, for `edge.vision.owner`."""

from __future__ import annotations

import cv2
import numpy as np

from edge.vision.geometry import Box, Boxes
from edge.vision.owner import Histogram
from edge.vision.picture import Picture

INNER = (0.25, 0.15, 0.75, 0.75)  # the part of a box, x0 y0 x1 y1, that is hardly background
BINS, COLOUR_RANGE = 8, (80, 176)  # of luma and both chroma; stronger colours count as these
MIN_SIDE_PX = 4


def histograms(picture: Picture, boxes_xyxy: Boxes) -> list[Histogram]:
    """One for each of (n, 4) boxes in pixels of the picture, (2 * BINS³,) float32.

    The upper and the lower half of an object count apart.
    """
    return [_histogram(picture, tuple(box)) for box in boxes_xyxy.tolist()]


def _histogram(picture: Picture, box_xyxy: Box) -> Histogram:
    result: Histogram = np.zeros((2, BINS**3), np.float32)
    x0, y0, x1, y1 = box_xyxy
    w, h = x1 - x0, y1 - y0
    left, right = (round(min(max(x0 + w * share, 0), picture.width)) for share in INNER[::2])
    top, bottom = (round(min(max(y0 + h * share, 0), picture.height)) for share in INNER[1::2])
    if right - left < MIN_SIDE_PX or bottom - top < MIN_SIDE_PX:
        return result.ravel()
    colours = cv2.cvtColor(picture.rgb((left, top, right, bottom)), cv2.COLOR_RGB2YUV)
    low, high = COLOUR_RANGE
    np.clip(colours[..., 1:], low, high - 1, out=colours[..., 1:])
    ranges = [0, 256, low, high, low, high]
    half = (bottom - top) // 2
    for row, part in enumerate((colours[:half], colours[half:])):
        counts = cv2.calcHist([part], [0, 1, 2], None, [BINS] * 3, ranges).ravel()
        result[row] = np.sqrt(counts / max(1.0, float(counts.sum())) / 2)
    return result.ravel()
