"""Opens and decodes files, network streams and V4L2 cameras with PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import av.container
import av.video
import numpy as np

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.runtime.times import NS_PER_S
from edge.sources.h264 import AnnexB
from edge.sources.kinds import Kind, kind_of
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import EncodedPacket, EncodedStream

VIEWED = {"yuv420p": PixelFormat.I420, "nv12": PixelFormat.NV12}  # other formats are converted

MISSING = (av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError)

OnDamage = Callable[[av.FFmpegError, int], None]


def open_container(settings: SourceSettings, stall_s: float) -> av.container.InputContainer:
    """stall_s: how long a live source may take to answer.

    Raises SourceError, or SourceLostError for a live source, which may work later.
    """
    kind = kind_of(settings.uri)
    if kind is Kind.STREAM:
        _require_host(settings)
    try:
        container = av.open(
            _address(settings.uri),
            format="v4l2" if kind is Kind.V4L2 else None,
            options=_options(settings, kind),
            timeout=stall_s if kind.live else None,
        )
    except (av.FFmpegError, OSError) as error:
        # Without the protocol or the format in this build of FFmpeg, waiting is of no use.
        may_work = kind.live and not isinstance(error, MISSING)
        failure = SourceLostError if may_work else SourceError
        raise failure(f"source {settings.name}: {reason(error)}") from error
    if not container.streams.video:
        raise SourceError(f"source {settings.name}: it has no video stream")
    return container


def _require_host(settings: SourceSettings) -> None:
    """Raises SourceError for an address that can never work, which would be waited for."""
    if not settings.uri.lower().startswith(("http:", "https:", "rtsp:", "rtsps:")):
        return
    try:
        parts = urlsplit(settings.uri)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host:
        raise SourceError(
            f"source {settings.name}: this address has no valid host and port; write it as "
            "rtsp://HOST:PORT/PATH"
        )


def _address(uri: str) -> str:
    uri = uri.removeprefix("v4l2:")
    return uri if "://" in uri else str(Path(uri).expanduser())


def _options(settings: SourceSettings, kind: Kind) -> dict[str, str]:
    if settings.uri.startswith("rtsp"):
        return {"rtsp_transport": "tcp", "fflags": "nobuffer"}
    if kind is not Kind.V4L2:
        return {}
    size = {"video_size": f"{settings.width_px}x{settings.height_px}"}
    return size | ({"framerate": str(settings.fps)} if settings.fps else {})


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image with the packets since the image before.

    time_ns: presentation time in the stream; the packets' times are too.
    """

    image: av.VideoFrame
    time_ns: int
    packets: tuple[EncodedPacket, ...]


class Decoder:
    """Decodes the first video stream of a container, once from its start to its end.

    on_damage: receives the error of each packet that can't be decoded, and how many there are in
    a row; they are skipped, unless it raises. encoded: set if the packets can be recorded without
    encoding again. problem: the reason why they can't, if the stream is damaged.
    """

    def __init__(self, container: av.container.InputContainer, on_damage: OnDamage) -> None:
        self._container = container
        self._on_damage = on_damage
        self.stream = container.streams.video[0]
        self.stream.thread_type = "SLICE"  # frame threads would delay each frame by several
        self.encoded: EncodedStream | None = None
        self.problem = ""
        self._annexb = self._converter()

    def __iter__(self) -> Iterator[Decoded]:
        """Raises av.FFmpegError if the container can't be read, and the errors of `on_damage`."""
        packets: list[EncodedPacket] = []
        in_a_row = 0
        for packet in self._container.demux(self.stream):
            try:
                images = packet.decode()
            except av.FFmpegError as error:
                images = []
                in_a_row += 1
                self._on_damage(error, in_a_row)
            packets += self._recorded(packet)
            for image in images:
                in_a_row = 0
                yield Decoded(image, _time_ns(image), tuple(packets))
                packets.clear()

    def _recorded(self, packet: av.Packet[Any]) -> Iterator[EncodedPacket]:
        """The packet in the form for clips, if it can be recorded; `packet` is empty afterwards."""
        if self._annexb is None or not packet.size or packet.pts is None:
            return
        time_ns = _time_ns(packet)
        try:
            data, is_key_frame = self._annexb.take(packet)
        except av.FFmpegError:  # the decoder has reported this damage
            return
        yield EncodedPacket(data, time_ns, is_key_frame)

    def _converter(self) -> AnnexB | None:
        """None unless the stream is H.264 in presentation order, which can be recorded."""
        context = self.stream.codec_context
        if context.name != "h264" or context.has_b_frames or not context.extradata:
            return None
        try:
            converter = AnnexB(self.stream)
        except av.FFmpegError:
            self.problem = "its H.264 configuration record (avcC) is damaged"
            return None
        self.encoded = EncodedStream(self.stream.width, self.stream.height)
        return converter


def _time_ns(timed: av.VideoFrame | av.Packet[Any]) -> int:
    """Presentation time in nanoseconds; 0 if the stream gives none."""
    if timed.pts is None or timed.time_base is None:
        return 0
    return round(timed.pts * timed.time_base * NS_PER_S)


def picture_of(image: av.VideoFrame, size: tuple[int, int]) -> Picture:
    """Strided views on the decoder's planes where its format allows that, otherwise a conversion.

    size: (width, height), both even.
    """
    if image.format.name not in VIEWED:
        image = image.reformat(format="yuv420p", dst_color_range="MPEG")
    pixel_format = VIEWED[image.format.name]
    width, height = size
    planes: list[Plane] = [_view(image.planes[0], height, width)]
    if pixel_format is PixelFormat.I420:
        planes += [_view(plane, height // 2, width // 2) for plane in image.planes[1:]]
    else:
        planes.append(_view(image.planes[1], height // 2, width).reshape(height // 2, -1, 2))
    return Picture(pixel_format, tuple(planes))


def _view(plane: Any, height: int, width: int) -> Plane:
    """(height, width) uint8 on the plane's memory, which it keeps alive."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]


def reason(error: Exception) -> str:
    """FFmpeg's text for an error, without its number."""
    return str(getattr(error, "strerror", None) or error)
