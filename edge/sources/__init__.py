"""Where frames come from: cameras, files, streams and synthetic scenes."""

from __future__ import annotations

import difflib
from pathlib import Path

from edge.config.schema import SourceSettings
from edge.errors import SourceError
from edge.sources.base import Source
from edge.sources.reconnect import Listener, Reconnecting, Resumed
from edge.vision.types import SourceInfo

__all__ = ["Source", "SourceInfo", "open_source"]

STREAMS = ("rtsp", "rtsps", "http", "https")
SCHEMES = ("picamera2", "v4l2", "synthetic", *STREAMS)


def open_source(
    settings: SourceSettings,
    stall_s: float = 5.0,
    on_event: Listener | None = None,
    on_resume: Resumed | None = None,
    clip_height_px: int = 0,
) -> Source:
    """The source that `settings.uri` names, not yet opened; a live one reconnects by itself.

    stall_s: a live source that gives no frame for so long is lost. on_event: hears one sentence
    when a source is lost and when it is back. on_resume: is told what it then is. clip_height_px: a
    camera with an encoder of its own encodes pictures up to this height; 0 = none.
    Raises SourceError for a URI of no known kind.
    """
    scheme, separator, _ = settings.uri.partition(":")
    if not separator or scheme not in SCHEMES:
        return _local(settings, stall_s, on_event, on_resume)
    match scheme:
        case "picamera2":
            from edge.sources.picamera2 import Picamera2Source

            camera = Picamera2Source(settings, stall_s, clip_height_px)
            return Reconnecting(camera, settings, on_event, on_resume)
        case "synthetic":
            from edge.sources.scenes.synthetic import SyntheticSource

            return SyntheticSource(settings)
        case _:
            from edge.sources.video import VideoSource

            return Reconnecting(VideoSource(settings, stall_s), settings, on_event, on_resume)


def _local(
    settings: SourceSettings,
    stall_s: float,
    on_event: Listener | None,
    on_resume: Resumed | None,
) -> Source:
    """A path: of a device, of a folder of images or of a video file."""
    path = Path(settings.uri).expanduser()
    if path.is_char_device():
        from edge.sources.video import VideoSource

        return Reconnecting(VideoSource(settings, stall_s), settings, on_event, on_resume)
    if path.is_dir():
        from edge.sources.images import ImagesSource

        return ImagesSource(settings)
    if not path.exists():
        raise SourceError(_unknown(settings.uri))
    from edge.sources.video import VideoSource

    return VideoSource(settings, stall_s)


def _unknown(uri: str) -> str:
    scheme, separator, _ = uri.partition(":")
    if not separator or "/" in scheme:
        return f"source {uri}: there is no such file"
    near = difflib.get_close_matches(scheme, SCHEMES, 1)
    meant = f"; did you mean {near[0]}:?" if near else ""
    return f"source {uri}: neither a file nor one of {', '.join(f'{s}:' for s in SCHEMES)}{meant}"
