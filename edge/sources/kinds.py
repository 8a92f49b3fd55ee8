"""The kinds of source that a URI can name, and the camera settings that each kind follows."""

from __future__ import annotations

import enum
from pathlib import Path

from edge.config.schema import SourceSettings

STREAMS = ("rtsp", "rtsps", "http", "https")
SCHEMES = ("picamera2", "v4l2", "synthetic", *STREAMS)
# Settings that no source may ignore silently, and the ability that each needs.
ABILITIES = {"upside_down": "rotate its picture", "focus_m": "move its lens"}


class Kind(enum.Enum):
    """A kind of source. One class reads the last three, through FFmpeg; each other has its own."""

    PICAMERA2 = enum.auto()
    SCENE = enum.auto()
    IMAGES = enum.auto()
    V4L2 = enum.auto()
    STREAM = enum.auto()
    VIDEO = enum.auto()

    @property
    def live(self) -> bool:
        """Whether its frames arrive at their own pace, so that it can be lost and opened again."""
        return self in (Kind.PICAMERA2, Kind.V4L2, Kind.STREAM)

    @property
    def follows(self) -> frozenset[str]:
        """The settings in `ABILITIES` that it follows."""
        return frozenset(ABILITIES) if self is Kind.PICAMERA2 else frozenset()


def kind_of(uri: str) -> Kind:
    """Never fails: a path without a file counts as a video file."""
    scheme, separator, _ = uri.partition(":")
    match scheme if separator else "":
        case "picamera2":
            return Kind.PICAMERA2
        case "v4l2":
            return Kind.V4L2
        case "synthetic":
            return Kind.SCENE
        case name if name in STREAMS:
            return Kind.STREAM
    path = Path(uri).expanduser()
    # A camera that is not plugged in has no device file.
    if path.is_char_device() or str(path).startswith(("/dev/video", "/dev/v4l/")):
        return Kind.V4L2
    return Kind.IMAGES if path.is_dir() else Kind.VIDEO


def check(settings: SourceSettings) -> list[str]:
    """One sentence for each setting that the source can't follow. Opens nothing."""
    follows = kind_of(settings.uri).follows
    return [
        f"source.{name}: only a picamera2 camera can {ability}, and {settings.name} is not one; "
        "remove this setting"
        for name, ability in ABILITIES.items()
        if getattr(settings, name) and name not in follows
    ]
