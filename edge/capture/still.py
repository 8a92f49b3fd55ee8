"""Encodes stills as JPEG, with metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import cv2

from edge.capture.metadata.facts import StillFacts
from edge.capture.metadata.xmp import xmp
from edge.errors import CaptureError
from edge.vision.geometry import Box
from edge.vision.picture import Picture
from edge.vision.privacy import blurred

_JFIF, _APP1 = b"\xff\xe0", b"\xff\xe1"  # markers of segments
_MAX_SEGMENT: Final = 0xFFFF - 2
_XMP_HEADER: Final = b"http://ns.adobe.com/xap/1.0/\0"


def encode_jpeg(
    picture: Picture,
    quality: int,
    segments: Iterable[bytes] = (),
    blurred_xyxy: Sequence[Box] = (),
) -> bytes:
    """The whole picture at full resolution; quality is libjpeg's 1..100. Raises CaptureError.

    segments: of metadata, which go before the picture, so that nothing is encoded twice.
    blurred_xyxy: where nothing is to be recognized, in pixels of the picture.
    """
    bgr = blurred(picture.bgr(), blurred_xyxy) if blurred_xyxy else picture.bgr()
    try:
        encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise CaptureError(f"a still could not be encoded: {error.err}") from error
    if not encoded:
        raise CaptureError(f"a still of {picture.width}x{picture.height} could not be encoded")
    jpeg = memoryview(data.tobytes())
    at = 4 + int.from_bytes(jpeg[4:6]) if jpeg[2:4] == _JFIF else 2
    return b"".join((jpeg[:at], *map(_segment, segments), jpeg[at:]))


def metadata(facts: StillFacts) -> list[bytes]:
    """EXIF and XMP as segments for `encode_jpeg`; one that is too large for a JPEG is omitted."""
    from edge.capture.metadata.exif import (
        exif,  # needs Pillow, whose memory only a still is to cost
    )

    segments = (exif(facts), _XMP_HEADER + xmp(facts))
    return [segment for segment in segments if len(segment) <= _MAX_SEGMENT]


def _segment(content: bytes) -> bytes:
    return _APP1 + (len(content) + 2).to_bytes(2) + content
