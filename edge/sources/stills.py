"""Reads still pictures, from files or from memory: upright, bounded, and with their own date."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from PIL import ExifTags, Image

from edge.runtime.times import NS_PER_S
from edge.sources.views import even
from edge.vision.picture import Picture, PixelFormat, Plane

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
MAX_BYTES: Final = 256 << 20  # above an uncompressed TIFF of the largest Pi camera, 64 megapixels
MAX_PIXELS: Final = 100_000_000  # 300 MB in memory
MIN_SIDE_PX: Final = 16  # one macroblock of H.264, as captures are encoded

warnings.filterwarnings("ignore", module="PIL")  # about damage, which is counted here
DAMAGED: Final = "damaged or not a picture"
MISSING: Final = "missing"
TURNS: Final = {  # by the EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A camera without a clock writes 0000:00:00, and later than 2200 does not fit into 64 bits of ns.
YEARS: Final = range(1970, 2200)
DATE: Final = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\s*", re.ASCII)
OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
SUBSECOND: Final = re.compile(r"\d{1,9}", re.ASCII)


class StillError(Exception):
    """A picture that can't be used. Its text is the reason, in the form "empty"."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture with even sides. taken_ns: Unix time from its EXIF, None without one."""

    picture: Picture
    taken_ns: int | None


def open_regular(path: Path) -> IO[bytes]:
    """A file of at most MAX_BYTES. Never waits for a pipe or device. Raises StillError."""
    try:
        _check(path.stat())  # first, as opening a device may have an effect
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise StillError(_reason(error)) from error
    stream = os.fdopen(descriptor, "rb")
    try:
        _check(os.fstat(descriptor))
    except StillError:
        stream.close()
        raise
    return stream


def read_file(path: Path) -> bytes:
    """The bytes of such a file. Raises StillError."""
    with open_regular(path) as stream:
        try:
            data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise StillError(_reason(error)) from error
    if len(data) > MAX_BYTES:  # it has grown
        raise StillError(_too_large())
    return data


def size_of(stream: IO[bytes]) -> tuple[int, int]:
    """(width, height) of `decode`'s picture, from the header alone. Raises StillError."""
    try:
        with Image.open(stream, formats=FORMATS) as image:
            return _upright_size(image, _orientation(_exif(image)))
    except StillError:
        raise
    except Exception as error:  # damaged headers raise errors of many types in Pillow
        raise StillError(DAMAGED) from error


def decode(data: bytes) -> Still:
    """The picture, turned as its EXIF says. Raises StillError, also for a truncated file."""
    if not data:
        raise StillError("empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            exif = _exif(image)
            width, height = _upright_size(image, _orientation(exif))
            taken_ns = _taken_ns(exif)
            rgb = _upright(image, _orientation(exif))
    except StillError:
        raise
    except Exception as error:
        raise StillError(DAMAGED) from error
    return Still(Picture(PixelFormat.RGB, (rgb[:height, :width],)), taken_ns)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StillError("not a regular file")
    if status.st_size == 0:
        raise StillError("empty")
    if status.st_size > MAX_BYTES:
        raise StillError(_too_large())


def _too_large() -> str:
    return f"larger than {MAX_BYTES >> 20} MiB"


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
        return MISSING
    if number in (errno.EACCES, errno.EPERM):
        return "without permission to read"
    if number == errno.ELOOP:
        return "linked to itself"
    return "unreadable on the disk"


def _upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """(width, height), both even. Raises StillError for sizes that can't be processed."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise StillError(f"larger than {MAX_PIXELS // 1_000_000} megapixels")
    if min(width, height) < MIN_SIDE_PX:
        raise StillError(f"smaller than {MIN_SIDE_PX} pixels")
    if orientation >= 5:  # 5 to 8 exchange the sides
        width, height = height, width
    return even(width), even(height)


def _upright(image: Image.Image, orientation: int) -> Plane:
    """(h, w, 3) uint8 RGB."""
    image.load()
    if image.mode.startswith("I"):  # 16 bits of grey, which a conversion to RGB would clip
        grey = np.asarray(image) >> 8
        image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    rgb = image.convert("RGB")
    return np.asarray(rgb.transpose(TURNS[orientation]) if orientation in TURNS else rgb)


def _exif(image: Image.Image) -> dict[int, Any]:
    """The tags of a picture and of its Exif part, by number; empty if they are damaged."""
    if image.format == "PNG" and "exif" not in image.info:
        return {}  # Pillow would decode the whole picture to look for tags behind it
    try:
        exif = image.getexif()
        tags = dict(exif)
        if image.format == "TIFF":  # Pillow gives the size, and then the pixels, upright already
            tags.pop(ExifTags.Base.Orientation, None)
        return tags | dict(exif.get_ifd(ExifTags.IFD.Exif))
    except Exception:  # as above; the picture itself may be sound
        return {}


def orientation_in(data: bytes) -> int:
    """The EXIF orientation of a picture in memory, 1 to 8; 0 if it can't be read."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _orientation(_exif(image))
    except Exception:  # Pillow raises many kinds for damaged files
        return 0


def _orientation(exif: dict[int, Any]) -> int:
    """1 to 8; 1 is upright."""
    value = exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _taken_ns(exif: dict[int, Any]) -> int | None:
    """Unix time of DateTimeOriginal, in local time unless OffsetTimeOriginal gives its zone."""
    date = DATE.match(_text(exif.get(ExifTags.Base.DateTimeOriginal)))
    if date is None or int(date[1]) not in YEARS:
        return None
    offset = OFFSET.match(_text(exif.get(ExifTags.Base.OffsetTimeOriginal)))
    subsecond = SUBSECOND.match(_text(exif.get(ExifTags.Base.SubsecTimeOriginal)))
    with suppress(ValueError, OverflowError, OSError):  # 30 February
        taken = datetime(*map(int, date.groups()), tzinfo=_zone(offset))  # type: ignore[arg-type, misc]
        part_ns = int(subsecond[0].ljust(9, "0")) if subsecond else 0
        return int(taken.timestamp()) * NS_PER_S + part_ns
    return None


def _zone(offset: re.Match[str] | None) -> timezone | None:
    if offset is None:
        return None
    away = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(-away if offset[1] == "-" else away)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""
