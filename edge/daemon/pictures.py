"""JPEGs for messages and for the live view."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from edge.vision.geometry import Box
from edge.vision.privacy import blurred
from edge.vision.types import Frame

THUMBNAIL_PX = 320  # longer side; about 15 kB, small enough for every trigger
THUMBNAIL_CONTEXT = 0.3  # margin on each side, as a share of the box; chosen
JPEG_QUALITY = 80  # of 100; below OpenCV's 95, as these pictures are sent and viewed once
BOX_RGB, BOX_PX = (255, 196, 0), 2  # colour and width of a box; visible on grass, snow and asphalt
BGR = cv2.COLOR_RGB2BGR  # OpenCV encodes BGR

Size = tuple[int, int]


def thumbnail(frame: Frame, box_xyxy: Box, blurred_xyxy: Sequence[Box] = ()) -> bytes:
    """The object with some context, as a JPEG of up to 320 px in width and height.

    blurred_xyxy: where nothing is to be recognized, in pixels of the main picture.
    """
    x0, y0, x1, y1 = box_xyxy
    margin_x, margin_y = (x1 - x0) * THUMBNAIL_CONTEXT, (y1 - y0) * THUMBNAIL_CONTEXT
    width, height = frame.main.width, frame.main.height
    left = min(max(0, int(x0 - margin_x)), width - 2)
    top = min(max(0, int(y0 - margin_y)), height - 2)
    right = max(left + 2, min(width, int(x1 + margin_x)))
    bottom = max(top + 2, min(height, int(y1 + margin_y)))
    crop = frame.main.rgb((left, top, right, bottom))
    if blurred_xyxy:
        boxes = [(x0 - left, y0 - top, x1 - left, y1 - top) for x0, y0, x1, y1 in blurred_xyxy]
        crop = blurred(crop, boxes)
    scale = min(1.0, THUMBNAIL_PX / max(crop.shape[:2]))
    return jpeg(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def snapshot(
    frame: Frame,
    max_width_px: int,
    box_xyxy: Box | None = None,
    blurred_xyxy: Sequence[Box] = (),
) -> tuple[bytes, Size]:
    """The whole picture as a JPEG of up to this width, and its (width, height).

    box_xyxy: a box to draw, in pixels of the frame. blurred_xyxy: as for `thumbnail`.
    """
    picture = frame.main.rgb((0, 0, frame.main.width, frame.main.height))
    if blurred_xyxy:
        picture = blurred(picture, blurred_xyxy)
    scale = min(1.0, max_width_px / frame.main.width)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if box_xyxy is not None:
        x0, y0, x1, y1 = (round(scale * side) for side in box_xyxy)
        cv2.rectangle(small, (x0, y0), (x1, y1), BOX_RGB, BOX_PX)
    return jpeg(small), (small.shape[1], small.shape[0])


def jpeg(rgb: cv2.typing.MatLike) -> bytes:
    """Encodes (h, w, 3) RGB uint8 as a JPEG for viewing."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, BGR), quality)[1].tobytes()
