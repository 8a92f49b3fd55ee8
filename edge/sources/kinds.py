"""The kinds of source that a URI can name, and the camera settings that each kind follows."""

from __future__ import annotations

import enum
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from edge.config.masking import masked
from edge.config.schema import SourceSettings
from edge.errors import SourceError

WEB: Final = ("http", "https")
# Protocols of FFmpeg. Which of them work depends on the FFmpeg inside PyAV.
STREAMS: Final = (
    "rtsp", "rtsps", *WEB, "udp", "rtp", "tcp", "rtmp", "rtmps", "rtmpt", "srt",
)  # fmt: skip
SCHEMES: Final = ("picamera2", "v4l2", "synthetic", *STREAMS, "file")
# Two letters at least, as C: is the beginning of a Windows path.
SCHEME: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):", re.IGNORECASE)
# Settings that no source may ignore silently: the sources that follow each, and what they do.
ABILITIES: Final = {
    "upside_down": ("a picamera2 camera", "rotate its picture"),
    "focus_m": ("a picamera2 camera", "move its lens"),
    "snapshot_every_s": ("an http: or https: address", "give single pictures"),
}


class Kind(enum.Enum):
    """A kind of source. One class reads the last four, through FFmpeg; each other has its own."""

    PICAMERA2 = enum.auto()
    SCENE = enum.auto()
    IMAGES = enum.auto()
    V4L2 = enum.auto()
    WEB = enum.auto()  # also single pictures, with `snapshot_every_s`
    STREAM = enum.auto()
    VIDEO = enum.auto()

    @property
    def live(self) -> bool:
        """Whether its frames arrive at their own pace, so that it can be lost and opened again.

        A web address may turn out to be a recording when it is opened.
        """
        return self in (Kind.PICAMERA2, Kind.V4L2, Kind.WEB, Kind.STREAM)

    @property
    def follows(self) -> frozenset[str]:
        """The settings in `ABILITIES` that it follows."""
        if self is Kind.WEB:
            return frozenset({"snapshot_every_s"})
        return frozenset({"upside_down", "focus_m"} if self is Kind.PICAMERA2 else ())


def kind_of(uri: str) -> Kind:
    """Never fails: a path without a file counts as a video file."""
    match scheme_of(uri):
        case "picamera2":
            return Kind.PICAMERA2
        case "v4l2":
            return Kind.V4L2
        case "synthetic":
            return Kind.SCENE
        case name if name in WEB:
            return Kind.WEB
        case name if name in STREAMS:
            return Kind.STREAM
    try:
        path = path_of(uri)
        # A camera that is not plugged in has no device file.
        if path.is_char_device() or str(path).startswith(("/dev/video", "/dev/v4l/")):
            return Kind.V4L2
        return Kind.IMAGES if path.is_dir() else Kind.VIDEO
    except (OSError, ValueError, RuntimeError, SourceError):  # no permission, or no possible path
        return Kind.VIDEO


def scheme_of(uri: str) -> str:
    """The scheme in small letters if it is one of `SCHEMES`, otherwise ""."""
    scheme = match["scheme"].lower() if (match := SCHEME.match(uri)) else ""
    return scheme if scheme in SCHEMES else ""


def path_of(uri: str) -> Path:
    """The path of a file: URI, or of a plain path with ~ for the home folder.

    Raises SourceError for a file: URI of another machine, and RuntimeError for an unknown ~NAME.
    """
    if scheme_of(uri) != "file":
        return Path(uri).expanduser()
    path = uri[len("file:") :]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host.lower() not in ("", "localhost") or not slash:
            raise SourceError(
                f"source {masked(uri)}: a file on another machine can't be read; for this machine, "
                "write file:///PATH"
            )
        path = slash + path
    return Path(os.fsdecode(unquote_to_bytes(path)))


def normalized(settings: SourceSettings) -> SourceSettings:
    """The same source in the form that FFmpeg takes: scheme in small letters, file: as a path.

    Raises SourceError for a file: URI of another machine.
    """
    uri, scheme = settings.uri, scheme_of(settings.uri)
    if scheme == "file":
        uri = str(path_of(uri))
    elif scheme:
        uri = scheme + uri[len(scheme) :]
    return msgspec.structs.replace(settings, uri=uri)


def check(settings: SourceSettings) -> list[str]:
    """One sentence for each setting that the source can't follow. Opens nothing."""
    follows = kind_of(settings.uri).follows
    return [
        f"source.{name}: only {followers} can {ability}, and {settings.name} is not one; "
        "remove this setting"
        for name, (followers, ability) in ABILITIES.items()
        if getattr(settings, name) and name not in follows
    ]
