"""Encodes stills as JPEG."""

from __future__ import annotations

import cv2

from edge.errors import CaptureError
from edge.vision.picture import Picture


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """The whole picture at full resolution; quality is libjpeg's 1..100. Raises CaptureError."""
    try:
        encoded, data = cv2.imencode(".jpg", picture.bgr(), [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise CaptureError(f"a still could not be encoded: {error.err}") from error
    if not encoded:
        raise CaptureError(f"a still of {picture.width}x{picture.height} could not be encoded")
    return data.tobytes()
