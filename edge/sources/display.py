"""Shows pictures as their stream's metadata asks: upright, not mirrored, with square pixels."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData

from edge.sources.stills import orientation_in
from edge.sources.views import even
from edge.vision.picture import Picture, Plane
from edge.vision.types import Display

# Pixels of real cameras are between 0.4 (whole lines of half height) and 2.2 (the reverse); a
# shape beyond that is damage, and would make pictures of any size.
MAX_STRETCH = 4
_MATRIX = struct.Struct("=9i")
# By the EXIF orientation: whether the picture is mirrored, and its quarter turns after that.
_BY_ORIENTATION = {
    1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
    5: (True, 3), 6: (False, 1), 7: (True, 1), 8: (False, 3),
}  # fmt: skip
_TURN = {
    1: cv2.ROTATE_90_CLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def display_of(image: av.VideoFrame, stream: av.VideoStream, jpeg: bytes = b"") -> Display:
    """How an image of the stream is to be shown.

    jpeg: the file that the image was decoded from, if it was one.
    """
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not 1 / MAX_STRETCH <= aspect <= MAX_STRETCH:
        aspect = Fraction(1)
    try:
        matrix = image.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know the type of another side data of this image
        if jpeg and (orientation := orientation_in(jpeg)):  # an angle can't say that it is mirrored
            mirrored, turns = _BY_ORIENTATION[orientation]
            return Display(turns, mirrored, aspect)
        return Display(round(-image.rotation / 90) % 4, sample_aspect=aspect)
    if not isinstance(matrix, SideData) or matrix.buffer_size < _MATRIX.size:
        return Display(sample_aspect=aspect)
    a, b, _, c, d, *_ = _MATRIX.unpack_from(bytes(matrix))
    return Display.nearest((a, b, c, d), aspect)


def shown(picture: Picture, display: Display) -> Picture:
    """The picture as it is shown: itself if nothing is to be done, otherwise a copy."""
    if display.upright and display.sample_aspect == 1:
        return picture
    width, height = map(even, display.stretched(picture.width, picture.height))
    if display.upright and (width, height) == (picture.width, picture.height):
        return picture
    luma, *chroma = picture.planes
    planes = [_shown(luma, (width, height), display)]
    planes += [_shown(plane, (width // 2, height // 2), display) for plane in chroma]
    return Picture(picture.format, tuple(planes))


def _shown(plane: Plane, size: tuple[int, int], display: Display) -> Plane:
    """size: (width, height) of the plane before it is turned."""
    if (plane.shape[1], plane.shape[0]) != size:
        plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if display.mirrored:
        plane = np.asarray(cv2.flip(plane, 1), np.uint8)
    if display.quarter_turns:
        plane = np.asarray(cv2.rotate(plane, _TURN[display.quarter_turns]), np.uint8)
    return plane
