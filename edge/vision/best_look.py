"""Compares pictures of one object, so that the best of a visit can be kept."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from edge.vision.geometry import Box
from edge.vision.picture import Picture
from edge.vision.triggers import CUT_QUALITY, is_cut
from edge.vision.types import Luma

# Longer side to which objects are scaled before their sharpness is compared, so that the same
# detail of a near and of a distant object counts the same. Chosen; larger ones cost more.
_COMPARED_PX: Final = 256
_LEAST_CONTRAST: Final = 2.0  # luma levels; below, detail is noise
_LEAST_PX: Final = 4  # sides of a box that has any detail


def quality(picture: Picture, box_xyxy: Box, score: float) -> float:
    """Higher for a larger, sharper, surer object that the edge of the picture does not cut.

    Size is the root of the area in pixels. Sharpness is the standard deviation of the Laplacian of
    luma, as a share of the contrast; it counts with its root and the score with its square, as a
    sign that half hides an object is sharper than the object. Nothing of the picture is kept.
    """
    width, height = picture.width, picture.height
    left, top = max(0, int(box_xyxy[0])), max(0, int(box_xyxy[1]))
    right, bottom = min(width, int(box_xyxy[2])), min(height, int(box_xyxy[3]))
    if min(right - left, bottom - top) < _LEAST_PX:
        return 0.0
    crop = Picture(picture.format, (picture.planes[0][top:bottom, left:right],)).luma()
    size = math.sqrt((right - left) * (bottom - top))
    whole = CUT_QUALITY if is_cut(box_xyxy, (width, height)) else 1.0
    return size * math.sqrt(_sharpness(crop)) * score**2 * whole


def _sharpness(crop: Luma) -> float:
    scale = _COMPARED_PX / max(crop.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    sides = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    scaled = cv2.resize(crop, sides, interpolation=way)
    return float(np.std(cv2.Laplacian(scaled, cv2.CV_16S)) / (np.std(scaled) + _LEAST_CONTRAST))
