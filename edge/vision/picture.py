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


_TO_RGB = {PixelFormat.I420: cv2.COLOR_YUV2RGB_I420, PixelFormat.NV12: cv2.COLOR_YUV2RGB_NV12}
_TO_BGR = {PixelFormat.I420: cv2.COLOR_YUV2BGR_I420, PixelFormat.NV12: cv2.COLOR_YUV2BGR_NV12}


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
        rgb = self._from_yuv(_TO_RGB[self.format], ex0, ey0, ex1, ey1)
        return rgb[y0 - ey0 : y1 - ey0, x0 - ex0 : x1 - ex0]

    def bgr(self) -> Plane:
        """The whole picture as (h, w, 3) BGR, for OpenCV's encoders and drawing; may be a view."""
        if self.format is PixelFormat.BGR:
            return self.planes[0]
        if self.format is PixelFormat.RGB:
            return _plane(cv2.cvtColor(self.planes[0], cv2.COLOR_RGB2BGR))
        return self._from_yuv(_TO_BGR[self.format], 0, 0, self.width, self.height)

    def _from_yuv(self, code: int, x0: int, y0: int, x1: int, y1: int) -> Plane:
        """Converts an even-aligned crop; only the crop is copied."""
        height, width = y1 - y0, x1 - x0
        luma = self.planes[0][y0:y1, x0:x1]
        cy, cx = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        if self.format is PixelFormat.NV12:
            chroma = self.planes[1][cy, cx]
            return _plane(cv2.cvtColorTwoPlane(luma, chroma, code))
        packed = np.empty(height * width * 3 // 2, np.uint8)
        packed[: height * width].reshape(height, width)[:] = luma
        chroma_planes = packed[height * width :].reshape(2, height // 2, width // 2)
        chroma_planes[0] = self.planes[1][cy, cx]
        chroma_planes[1] = self.planes[2][cy, cx]
        return _plane(cv2.cvtColor(packed.reshape(height * 3 // 2, width), code))


def _plane(array: object) -> Plane:
    """cv2's stubs allow any number type; these calls all give uint8."""
    assert isinstance(array, np.ndarray)
    return array
