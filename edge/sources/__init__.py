"""Sources of frames: cameras, files, streams and drawn scenes."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Sequence
from typing import Final

from edge.config.schema import SourceSettings
from edge.errors import ConfigError, SourceError
from edge.sources.base import Source
from edge.sources.kinds import SCHEMES, Kind, check, kind_of, normalized, path_of
from edge.sources.masked import MaskedSource
from edge.sources.reconnect import OnEvent, Reconnecting
from edge.vision.privacy import Painter, Polygon
from edge.vision.types import SourceInfo

__all__ = ["Source", "SourceInfo", "check", "open_source"]

WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")

log = logging.getLogger(__name__)


def open_source(
    settings: SourceSettings,
    stall_s: float = 5.0,
    on_event: OnEvent | None = None,
    clip_height_px: int = 0,
    *,
    masks: Sequence[Polygon] = (),
    recording: bool = False,
    waits: bool = False,
) -> Source:
    """The source that `settings.uri` names, not yet opened; a live one reconnects by itself.

    stall_s: a live source that gives no frame for this long is lost. on_event: receives a sentence
    when a source is lost and when it is back. clip_height_px: a camera that has an encoder uses it
    for pictures up to this height, 0 = never; a video gives its own packets up to this height, 0 =
    at any. masks: areas that are black in every frame, as shares of the picture; with any, neither
    gives packets. recording: the settings are those of the camera that made this recording, so that
    settings which only a camera follows are ignored rather than refused.

    Raises SourceError for a URI of no known kind, and ConfigError for settings that the source
    can't follow.
    """
    settings = normalized(settings)
    kind = kind_of(settings.uri)
    if kind is Kind.VIDEO:
        _check_file(settings)
    if not recording and (problems := check(settings)):
        raise ConfigError(problems)
    source = _source(kind, settings, stall_s, clip_height_px, masked=bool(masks))
    if masks:
        log.info(
            "source %s: privacy masks are painted into its pictures; clips are encoded from these "
            "in software, whether or not the camera gives H.264", settings.name,
        )  # fmt: skip
        source = MaskedSource(source, Painter(masks))
    if not kind.live:
        return source
    return Reconnecting(source, settings, on_event, waits=waits)


def _source(
    kind: Kind, settings: SourceSettings, stall_s: float, clip_height_px: int, *, masked: bool
) -> Source:
    """Imports the module of this kind only, as picamera2 is installed only on a Pi.

    masked: the frames are to be painted.
    """
    if kind is Kind.PICAMERA2:
        from edge.sources.picamera2 import Picamera2Source

        return Picamera2Source(settings, stall_s, 0 if masked else clip_height_px, writable=masked)
    if kind is Kind.SCENE:
        from edge.sources.scenes.synthetic import SyntheticSource

        return SyntheticSource(settings)
    if kind is Kind.IMAGES:
        from edge.sources.images import ImagesSource

        return ImagesSource(settings)
    if kind is Kind.WEB and settings.snapshot_every_s:
        from edge.sources.snapshot import SnapshotSource

        return SnapshotSource(settings, stall_s)
    from edge.sources.video import VideoSource

    return VideoSource(settings, stall_s, clip_height_px)


def _check_file(settings: SourceSettings) -> None:
    """Raises SourceError unless the path is a regular file."""
    try:
        path = path_of(settings.uri)
        found, is_regular = path.exists(), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # no permission, or no possible path
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"source {settings.name}: {reason}") from error
    if not found:
        raise SourceError(f"source {settings.name}: {_unknown(settings.name)}")
    if not is_regular:  # a pipe without a writer would be waited for without end
        raise SourceError(
            f"source {settings.name}: it is not a regular file; a program can send its video to "
            "udp://127.0.0.1:PORT or tcp://127.0.0.1:PORT instead"
        )


def _unknown(uri: str) -> str:
    """The rest of a sentence about an address that is no file. uri: masked."""
    if uri.isdecimal():
        return f"there is no such file; a V4L2 camera is v4l2:/dev/video{uri}"
    if WINDOWS_PATH.match(uri):
        return "a path of Windows does not exist here; write the path on this machine, with /"
    scheme, separator, _ = uri.partition(":")
    if "@" in uri and "://" not in uri:
        return "there is no such file; an address of a camera begins with rtsp:// or http://"
    if not separator or "/" in scheme:
        return "there is no such file"
    near = difflib.get_close_matches(scheme.lower(), SCHEMES)
    near.sort(key=lambda known: abs(len(known) - len(scheme)))  # letters are often exchanged
    meant = f"; did you mean {near[0]}:?" if near else ""
    return f"neither a file nor one of {', '.join(f'{s}:' for s in SCHEMES)}{meant}"
