"""Thumbnails of stills: the object that triggered, with some of its surroundings."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Final

from edge.capture.sidecar import BoxXyxy
from edge.runtime.files import open_regular

SIZE: Final = (320, 240)  # px; twice the size on the page, for dense screens
MARGIN: Final = 0.35  # of the box, on each side
SMALLEST: Final = 0.12  # of the picture's width, so that a distant object has surroundings
QUALITY: Final = 80
DECODED_PX: Final = 6_000_000  # a JPEG decoder halves the sides, so that up to four times as many
MAX_PX: Final = 200_000_000  # of a still: 16384 x 12000


def thumbnail(still: Path, box: BoxXyxy | None) -> bytes | None:
    """A JPEG of `SIZE`, cut out around the box; without one, of the whole picture.

    box: shares of the picture. None for a file that is gone or no picture. Memory: below 80 MB.
    """
    from PIL import Image

    try:
        with (
            os.fdopen(open_regular(still), "rb") as stream,
            Image.open(stream, formats=["JPEG"]) as image,
        ):
            width, height = image.size
            if width * height > MAX_PX:
                return None
            x0, y0, x1, y1 = crop_of(box, width, height)
            scale = min(1.0, SIZE[0] / (x1 - x0), math.sqrt(DECODED_PX / (width * height)))
            image.draft("RGB", (math.ceil(width * scale), math.ceil(height * scale)))
            factor = image.size[0] / width
            part = (x0 * factor, y0 * factor, x1 * factor, y1 * factor)
            small = image.convert("RGB").resize(SIZE, Image.Resampling.BILINEAR, box=part)
    except (OSError, ValueError, SyntaxError):  # SyntaxError: Pillow's, for a damaged file
        return None
    data = io.BytesIO()
    small.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def crop_of(box: BoxXyxy | None, width: int, height: int) -> tuple[float, float, float, float]:
    """The part of a picture for its thumbnail, in px and of its shape, within the picture."""
    x0, y0, x1, y1 = _within(box) if box else (0.0, 0.0, 1.0, 1.0)
    wanted = max((x1 - x0) * width, (y1 - y0) * height * SIZE[0] / SIZE[1])
    wanted = max(wanted * (1 + 2 * MARGIN), width * SMALLEST, 1.0)
    across = min(wanted, width, height * SIZE[0] / SIZE[1])
    down = across * SIZE[1] / SIZE[0]
    left = min(max((x0 + x1) / 2 * width - across / 2, 0.0), width - across)
    top = min(max((y0 + y1) / 2 * height - down / 2, 0.0), height - down)
    return left, top, left + across, top + down


def _within(box: BoxXyxy) -> BoxXyxy:
    """The box within the picture, with its corners in order, whatever the sidecar says."""
    x0, y0, x1, y1 = (min(max(side, 0.0), 1.0) for side in box)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
