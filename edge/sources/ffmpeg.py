"""Opens and decodes files, network streams and V4L2 cameras with PyAV (FFmpeg)."""

from __future__ import annotations

import errno
import time
from collections import deque
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
from edge.sources.display import display_of
from edge.sources.fetch import Fetcher
from edge.sources.h264 import AnnexB, is_played
from edge.sources.kinds import Kind, kind_of
from edge.sources.views import even
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import Display, EncodedStream

VIEWED = {"yuv420p": PixelFormat.I420, "nv12": PixelFormat.NV12}  # other formats are converted

DEFAULT_FPS = 25.0  # the rate of PAL, where neither container nor codec states one
MIN_FPS, MAX_FPS = 1 / 60, 240  # from a time-lapse video with a frame a minute to slow motion

OnDamage = Callable[[av.FFmpegError, int], None]


def open_container(settings: SourceSettings, stall_s: float) -> av.container.InputContainer:
    """stall_s: how long a live source may take to answer.

    Raises SourceError, or SourceLostError for a live source, which may work later.
    """
    kind = kind_of(settings.uri)
    if kind in (Kind.STREAM, Kind.WEB):
        _require_host(settings)
    end_s = time.monotonic() + stall_s
    try:
        container = _open(_address(settings.uri), settings, kind, stall_s)
        if kind is Kind.WEB and _index_is_out_of_reach(container):
            container.close()
            container = av.open(Fetcher(settings, stall_s).download(), "r")
    except av.error.ProtocolNotFoundError as error:
        scheme = settings.name.partition(":")[0]
        raise SourceError(
            f"source {settings.name}: the FFmpeg inside PyAV has no {scheme}; use another address "
            "of this camera, for example rtsp:// or http://"
        ) from error
    except (av.FFmpegError, OSError) as error:
        # Without the format in this build of FFmpeg, waiting is of no use.
        may_work = kind.live and not isinstance(error, av.error.DemuxerNotFoundError)
        failure = SourceLostError if may_work else SourceError
        late_s = stall_s if kind.live and time.monotonic() >= end_s else 0.0
        raise failure(f"source {settings.name}: {_not_opened(error, kind, late_s)}") from error
    if not container.streams.video:
        raise SourceError(f"source {settings.name}: it has no video stream")
    # PyAV's types don't say that a stream in a format that FFmpeg doesn't know has no codec.
    if getattr(container.streams.video[0], "codec_context", None) is None:
        raise SourceError(f"source {settings.name}: FFmpeg doesn't know the format of its video")
    if kind is Kind.WEB and _is_still(container):
        raise SourceError(
            f"source {settings.name}: the address gives one picture and no video; set "
            "source.snapshot_every_s, for example to 2.0, to fetch a picture every 2 s"
        )
    return container


def is_recording(container: av.container.InputContainer, settings: SourceSettings) -> bool:
    """Whether it ends: every file, and a web address whose answer has a length.

    MJPEG cameras give any length, and that of HLS is the length of its playlist.
    """
    kind = kind_of(settings.uri)
    if kind is not Kind.WEB:
        return not kind.live
    name = container.format.name
    lasts = (container.duration or 0) > 0
    has_end = lasts or (container.size or 0) > 0  # None from PyAV 19 on
    return lasts if name in ("hls", "mpjpeg") else has_end


def _open(
    address: str, settings: SourceSettings, kind: Kind, stall_s: float
) -> av.container.InputContainer:
    return av.open(
        address,
        format="v4l2" if kind is Kind.V4L2 else None,
        options=_options(settings, kind),
        timeout=stall_s if kind.live else None,
    )


def _not_opened(error: av.FFmpegError | OSError, kind: Kind, late_s: float) -> str:
    """Why a source can't be opened. late_s: the time limit, if it is over; otherwise 0.

    Some of FFmpeg's protocols call the end of a wait invalid data or an error of input.
    """
    unclear = isinstance(error, av.error.InvalidDataError) or error.errno in (errno.EIO, None)
    if late_s and (unclear or isinstance(error, av.error.ExitError)):
        return f"no answer came within {late_s:g} s"
    if isinstance(error, av.error.InvalidDataError):
        if kind is Kind.VIDEO:
            return "it is not a video, or it is damaged or incomplete"
        return "the answer is not a video, or the connection was closed"
    return reason(error)


def _index_is_out_of_reach(container: av.container.InputContainer) -> bool:
    """Whether an MP4 file has its index at its end, on a server that sends no parts of files.

    FFmpeg then reads up to the index, and fails as it can't go back to the first packet.
    """
    if not container.format.name.startswith("mov") or not container.streams.video:
        return False
    try:
        next(container.demux(container.streams.video[0]), None)
        container.seek(0)
    except (av.FFmpegError, OSError):
        return True
    return False


def _is_still(container: av.container.InputContainer) -> bool:
    return container.format.name == "image2" or container.format.name.endswith("_pipe")


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
    if settings.uri.startswith("udp"):
        return {
            "overrun_nonfatal": "1"
        }  # packets that are not read in time are lost, as on any net
    if kind is not Kind.V4L2:
        return {}
    size = {"video_size": f"{settings.width_px}x{settings.height_px}"}
    return size | ({"framerate": str(settings.fps)} if settings.fps else {})


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image with the packets since the image before, the last of which gave it.

    display: how the image is to be shown. stated_ns: its presentation time, as the stream states
    it; None if it does not. packets: the data of each in Annex B, and whether a decoder can begin
    there.
    """

    image: av.VideoFrame
    display: Display
    stated_ns: int | None
    packets: tuple[tuple[bytes, bool], ...]


class Decoder:
    """Decodes the first video stream of a container, once from its start to its end.

    on_damage: receives the error of each packet that can't be decoded, and how many there are in
    a row; they are skipped, unless it raises. clip_height_px: packets are given if their picture is
    shown at most this high; 0 = at any height. recording: whether the container ends. encoded: set
    from the first image on, if the packets can be recorded without encoding again. problem: the
    reason why they can't, if the stream is damaged.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        on_damage: OnDamage,
        clip_height_px: int = 0,
        *,
        recording: bool,
    ) -> None:
        self._container = container
        self.recording = recording
        self._on_damage = on_damage
        self._clip_height_px = clip_height_px
        self.stream = container.streams.video[0]
        self.stream.thread_type = "SLICE"  # frame threads would delay each frame by several
        self.stream.codec_context.copy_opaque = True  # an image says which packet it is from
        self.encoded: EncodedStream | None = None
        self.problem = ""
        self._annexb = self._converter()

    def __iter__(self) -> Iterator[Decoded]:
        """Raises av.FFmpegError if the container can't be read, and the errors of `on_damage`."""
        waiting: deque[tuple[int, bytes, bool]] = deque()
        in_a_row, times = 0, _Times(self._container.format.name)
        is_jpeg = self.stream.codec_context.name == "mjpeg"
        for number, packet in enumerate(self._container.demux(self.stream)):
            try:
                images = self._images(packet, number)
            except av.FFmpegError as error:
                images = []
                in_a_row += 1
                self._on_damage(error, in_a_row)
            waiting.extend(self._recorded(packet, number))
            jpeg = bytes(packet) if is_jpeg and images else b""
            for image in images:
                in_a_row = 0
                display = display_of(image, self.stream, jpeg)
                self._check_height(display)
                packets = _taken(waiting, image.opaque) if self._annexb else ()
                yield Decoded(image, display, times(image), packets)

    def _images(self, packet: av.Packet[Any], number: int) -> list[av.VideoFrame]:
        if packet.size:
            packet.opaque = number
        return packet.decode()

    def _recorded(self, packet: av.Packet[Any], number: int) -> Iterator[tuple[int, bytes, bool]]:
        """The packet in the form for clips, if it can be recorded; `packet` is empty afterwards."""
        if self._annexb is None or not packet.size:
            return
        try:
            data, is_key_frame = self._annexb.take(packet)
        except av.FFmpegError:  # the decoder has reported this damage
            return
        yield number, data, is_key_frame

    def _check_height(self, display: Display) -> None:
        """Gives packets from the first image on, unless it is too high."""
        if self._annexb is None or self.encoded is not None:
            return
        encoded = EncodedStream(self.stream.width, self.stream.height, display)
        if self._clip_height_px and encoded.shown_size[1] > self._clip_height_px:
            self._annexb = None
        else:
            self.encoded = encoded

    def _converter(self) -> AnnexB | None:
        """None unless the stream is H.264 in presentation order that browsers play."""
        context = self.stream.codec_context
        if context.name != "h264" or context.has_b_frames or not context.extradata:
            return None
        try:
            converter = AnnexB(self.stream)
        except av.FFmpegError:
            self.problem = "its H.264 configuration record (avcC) is damaged"
            return None
        return converter if is_played(context) else None


def _taken(
    waiting: deque[tuple[int, bytes, bool]], number: object
) -> tuple[tuple[bytes, bool], ...]:
    """Removes the packets up to the one with this number; all, if it is not known."""
    taken = []
    while waiting and (not isinstance(number, int) or waiting[0][0] <= number):
        taken.append(waiting.popleft()[1:])
    return tuple(taken)


class _Times:
    """Presentation times of the images of one stream, in the order in which they are shown.

    AVI files state decoding times only, from which FFmpeg makes presentation times that are wrong
    for B-frames. Where these step back more often than the decoding times, the latter are used, as
    FFmpeg's own programs do (`guess_correct_pts` in libavcodec/decode.c).
    """

    def __init__(self, container: str) -> None:
        """container: its format, by FFmpeg's name."""
        self._last_pts = self._last_dts = -float("inf")
        # Number of faulty presentation times minus that of decoding times.
        self._faulty = 1 if container == "avi" else 0

    def __call__(self, image: av.VideoFrame) -> int | None:
        """In nanoseconds, as the stream states it; None if it does not."""
        pts, dts = image.pts, image.dts
        if pts is None or image.time_base is None:
            return None
        self._faulty += pts <= self._last_pts
        self._last_pts = pts
        if dts is not None:
            self._faulty -= dts <= self._last_dts
            self._last_dts = dts
        if self._faulty > 0:
            pts = dts
        return None if pts is None else round(pts * image.time_base * NS_PER_S)


def fps_of(stream: av.VideoStream) -> float:
    """The stream's frames per second; where FFmpeg's two estimates differ, the lower one.

    The average is wrong for a stream without times, which counts as 25 fps, and far too low for
    one with a long pause. The other is the rate that all times are multiples of, which is too high
    for an irregular stream.
    """
    rates = _usual_rates(stream)
    return rates[0] if min(rates) < 1 else min(rates)


def period_ns_of(stream: av.VideoStream) -> int:
    """The usual time between two frames, whatever pauses the stream has."""
    return round(NS_PER_S / _usual_rates(stream)[0])


def _usual_rates(stream: av.VideoStream) -> list[float]:
    rates = [float(rate) for rate in (stream.guessed_rate, stream.average_rate) if rate]
    return [rate for rate in rates if MIN_FPS <= rate <= MAX_FPS] or [DEFAULT_FPS]


def picture_of(image: av.VideoFrame) -> Picture:
    """Strided views on the decoder's planes where its format allows that, otherwise a conversion.

    An odd last row or column is cut off.
    """
    if image.format.name not in VIEWED:
        image = image.reformat(format="yuv420p", dst_color_range="MPEG")
    pixel_format = VIEWED[image.format.name]
    width, height = even(image.width), even(image.height)
    planes: list[Plane] = [_view(image.planes[0], height, width)]
    if pixel_format is PixelFormat.I420:
        planes += [_view(plane, height // 2, width // 2) for plane in image.planes[1:]]
    else:
        planes.append(_view(image.planes[1], height // 2, width).reshape(height // 2, -1, 2))
    return Picture(pixel_format, tuple(planes))


def _view(plane: Any, height: int, width: int) -> Plane:
    """(height, width) uint8 on the plane's memory, which it keeps alive.

    Read-only, as the decoder may predict its next pictures from this one.
    """
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    rows.flags.writeable = False
    return rows[:height, :width]


def reason(error: Exception) -> str:
    """FFmpeg's text for an error, without its number."""
    if isinstance(error, av.error.ExitError):  # PyAV's timeout
        return "no data came in time"
    return str(getattr(error, "strerror", None) or error)
