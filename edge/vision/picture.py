"""The main picture in the camera's own pixel format, so that only its crops are converted."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]


class PixelFormat(enum.Enum):
    """Pixel formats of cameras and decoders. YUV is BT.601, limited range."""

    I420 = "I420"  # planes Y (h, w), U and V (h/2, w/2)
    NV12 = "NV12"  # planes Y (h, w), UV interleaved (h/2, w/2, 2)
    RGB = "RGB"  # one plane (h, w, 3)
    BGR = "BGR"  # one plane (h, w, 3)


@dataclass(frozen=True, slots=True)
class Picture:
    """Planes of one picture, usually views into a decoder's or a camera's buffer.

    Width and height are even for the YUV formats. Rows may be padded (stride > width): planes are
    strided views and need not be contiguous.
    """

    format: PixelFormat
    planes: tuple[Plane, ...]

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    def copy(self) -> Picture:
        return Picture(self.format, tuple(plane.copy() for plane in self.planes))

    def luma(self) -> Plane:
        """(h, w) uint8: the Y plane itself for YUV, a conversion otherwise."""
        if self.format in (PixelFormat.I420, PixelFormat.NV12):
            return self.planes[0]
        code = cv2.COLOR_RGB2GRAY if self.format is PixelFormat.RGB else cv2.COLOR_BGR2GRAY
        return _plane(cv2.cvtColor(self.planes[0], code))

    def rgb(self, box_xyxy: tuple[int, int, int, int] | None = None) -> Plane:
        """A crop as (h, w, 3) RGB; the whole picture without a box.

        The box, in whole pixels, must lie inside the picture. For YUV it is cut on the chroma grid
        and trimmed afterwards, so that any box is exact.
        """
        x0, y0, x1, y1 = box_xyxy or (0, 0, self.width, self.height)
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"crop {box_xyxy} outside the picture {self.width}x{self.height}")
        if self.format is PixelFormat.RGB:
            return self.planes[0][y0:y1, x0:x1]
        if self.format is PixelFormat.BGR:
            return _plane(cv2.cvtColor(self.planes[0][y0:y1, x0:x1], cv2.COLOR_BGR2RGB))
        ex0, ey0, ex1, ey1 = x0 & ~1, y0 & ~1, (x1 + 1) & ~1, (y1 + 1) & ~1
        rgb = self._from_yuv(cv2.COLOR_YUV2RGB_NV12, ex0, ey0, ex1, ey1)
        return rgb[y0 - ey0 : y1 - ey0, x0 - ex0 : x1 - ex0]

    def bgr(self) -> Plane:
        """The whole picture as (h, w, 3) BGR, for OpenCV's encoders and drawing; may be a view."""
        if self.format is PixelFormat.BGR:
            return self.planes[0]
        if self.format is PixelFormat.RGB:
            return _plane(cv2.cvtColor(self.planes[0], cv2.COLOR_RGB2BGR))
        return self._from_yuv(cv2.COLOR_YUV2BGR_NV12, 0, 0, self.width, self.height)

    def _from_yuv(self, code: int, x0: int, y0: int, x1: int, y1: int) -> Plane:
        """Converts an even-aligned crop. I420 becomes NV12 first: only its chroma is copied."""
        luma, *chroma = self.planes
        half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        parts = [plane[half] for plane in chroma]
        pairs = parts[0] if self.format is PixelFormat.NV12 else cv2.merge(parts)
        return _plane(cv2.cvtColorTwoPlane(luma[y0:y1, x0:x1], pairs, code))


def _plane(array: object) -> Plane:
    """cv2's stubs allow any number type; these calls all give uint8."""
    assert isinstance(array, np.ndarray)
    return array
