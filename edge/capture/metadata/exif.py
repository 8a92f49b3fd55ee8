"""The EXIF of a still. Only this module and the image sources use Pillow, which takes 2 MB."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from edge.capture.metadata.facts import StillFacts, title
from edge.capture.metadata.origin import SOFTWARE
from edge.capture.naming import local_time
from edge.capture.sidecar import SiteEntry
from edge.vision.types import Exposure

PI: Final = "Raspberry Pi"
_UNIT: Final = 10_000  # fractions of a second of arc: 3 mm
_INFINITE: Final = 0xFFFF_FFFF  # the standard's numerator of an infinite distance
_MAX_ISO: Final = 0xFFFF


def exif(facts: StillFacts) -> bytes:
    """The tags as a TIFF structure, after `Exif` and two zero bytes."""
    tags = Image.Exif()
    tags.update(_main(facts))
    tags[IFD.Exif] = dict(_details(facts))
    if facts.sidecar.site.position is not None:
        tags[IFD.GPSInfo] = dict(_place(facts.sidecar.site))
    return tags.tobytes()


def _main(facts: StillFacts) -> Mapping[int, Any]:
    site, board = facts.sidecar.site, facts.board
    sensor = facts.exposure.sensor if facts.exposure else ""
    texts = {
        Base.ImageDescription: title(facts.sidecar),
        Base.Make: PI if sensor and board.startswith(PI) else "",
        Base.Model: sensor,
        Base.Software: SOFTWARE,
        Base.DateTime: _time(facts),
        Base.Artist: site.setup_by,
        Base.HostComputer: board,
        Base.Copyright: site.rights,
    }
    # Pillow would replace characters that are not ASCII; readers take UTF-8.
    tags: dict[int, Any] = {tag: text.encode() for tag, text in texts.items() if text}
    resolution = {Base.XResolution: 72, Base.YResolution: 72, Base.ResolutionUnit: 2}
    return tags | resolution | {Base.YCbCrPositioning: 1}


def _details(facts: StillFacts) -> Iterator[tuple[int, Any]]:
    local = local_time(facts.wall_ns)
    fraction, offset = f"{local.microsecond // 1000:03d}", local.isoformat()[-6:]
    yield Base.ExifVersion, b"0232"
    for tag in (Base.DateTimeOriginal, Base.DateTimeDigitized):
        yield tag, _time(facts)
    for tag in (Base.OffsetTime, Base.OffsetTimeOriginal, Base.OffsetTimeDigitized):
        yield tag, offset
    for tag in (Base.SubsecTime, Base.SubsecTimeOriginal, Base.SubsecTimeDigitized):
        yield tag, fraction
    yield Base.UserComment, _undefined(b"ASCII\0\0\0" + f"event {facts.event_id}".encode())
    yield Base.ComponentsConfiguration, _undefined(b"\1\2\3\0")
    yield Base.FlashPixVersion, b"0100"
    yield Base.ColorSpace, 1  # sRGB
    yield Base.ExifImageWidth, facts.size[0]
    yield Base.ExifImageHeight, facts.size[1]
    if facts.exposure is not None:
        yield from _exposed(facts.exposure)


def _exposed(exposure: Exposure) -> Iterator[tuple[int, Any]]:
    if exposure.time_us is not None:
        yield Base.ExposureTime, IFDRational(exposure.time_us, 1_000_000)
    if exposure.gain is not None:
        yield Base.ISOSpeedRatings, min(round(100 * exposure.gain), _MAX_ISO)
    if exposure.focus_dioptres is not None:
        yield Base.SubjectDistance, _distance(exposure.focus_dioptres)


def _distance(dioptres: float) -> IFDRational:
    """In metres, to the millimetre."""
    distance_mm = 1000 / dioptres if dioptres else math.inf
    if distance_mm >= _INFINITE:
        return IFDRational(_INFINITE, 1)
    return IFDRational(round(distance_mm), 1000)


def _place(site: SiteEntry) -> Iterator[tuple[int, Any]]:
    assert site.latitude is not None
    assert site.longitude is not None
    yield GPS.GPSVersionID, b"\2\3\0\0"
    yield GPS.GPSLatitudeRef, "S" if site.latitude < 0 else "N"
    yield GPS.GPSLatitude, _angle(site.latitude)
    yield GPS.GPSLongitudeRef, "W" if site.longitude < 0 else "E"
    yield GPS.GPSLongitude, _angle(site.longitude)
    yield GPS.GPSMapDatum, "WGS-84"
    if site.altitude_m is not None:
        yield GPS.GPSAltitudeRef, b"\1" if site.altitude_m < 0 else b"\0"
        yield GPS.GPSAltitude, IFDRational(round(abs(site.altitude_m) * 100), 100)


def _angle(degrees: float) -> tuple[int, int, IFDRational]:
    """Degrees, minutes and seconds."""
    minutes, seconds = divmod(round(abs(degrees) * 3600 * _UNIT), 60 * _UNIT)
    return (*divmod(minutes, 60), IFDRational(seconds, _UNIT))


def _time(facts: StillFacts) -> str:
    return f"{local_time(facts.wall_ns):%Y:%m:%d %H:%M:%S}"


def _undefined(data: bytes) -> tuple[bytearray]:
    """A value of the type UNDEFINED, which Pillow gives to all that it can't guess."""
    return (bytearray(data),)
