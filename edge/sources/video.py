"""Files, network streams and V4L2 cameras through PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import av.container
import av.video
import numpy as np

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.runtime.times import NS_PER_S
from edge.sources.pace import Pace
from edge.sources.views import even, luma_of, luma_size
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import EncodedPacket, EncodedStream, Frame, SourceInfo

VIEWED = {"yuv420p": PixelFormat.I420, "nv12": PixelFormat.NV12}  # the others are converted
DEFAULT_FPS = 25.0
MAX_CORRUPT_IN_A_ROW = 100  # more is no damage, it is another thing than video

log = logging.getLogger(__name__)


class VideoSource:
    """A recording plays at its own pace (or `fast`); a stream or device gives what comes.

    corrupt: packets that could not be decoded and were skipped.
    """

    def __init__(self, settings: SourceSettings, stall_s: float = 5.0) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._address, self._format = _address(settings.uri)
        self._live = self._format is not None or "://" in self._address
        self._pace = Pace(fast=settings.fast)
        self._container: av.container.InputContainer | None = None
        self._frames: Iterator[tuple[av.VideoFrame, tuple[EncodedPacket, ...]]] = iter(())
        self._index = 0
        self._size = (0, 0)
        self.corrupt = 0

    def open(self) -> SourceInfo:
        """Raises SourceError, or for a stream that may come yet SourceLostError."""
        self._pace.start()
        self._index = 0
        self._container = self._opened()
        stream = self._container.streams.video[0]
        stream.thread_type = "SLICE"  # frame threads would delay each frame by several
        self._size = (even(stream.width), even(stream.height))
        self._frames = self._sampled(self._played())
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        return SourceInfo(
            self._settings.uri,
            self._size,
            luma_size(*self._size, self._settings.luma_width_px),
            min(fps, self._settings.fps or fps),
            live=self._live,
            frame_count=stream.frames or None,
            encoded=_encoded(stream),
        )

    def read(self) -> Frame | None:
        """The next frame, when it is due."""
        try:
            decoded, packets = next(self._frames)
        except StopIteration:
            if self._live and not self._pace.stopped:
                raise SourceLostError(f"source {self._settings.uri} ended") from None
            return None
        except (av.FFmpegError, OSError) as error:
            if self._pace.stopped:
                return None
            raise SourceLostError(f"source {self._settings.uri}: {_reason(error)}") from error
        index, self._index = self._index, self._index + 1
        offset_ns = _offset_ns(decoded)
        if self._live:
            timestamp_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        else:
            timestamp_ns, wall_ns = self._pace.wait(offset_ns)
        picture = _picture(decoded, self._size)
        shift_ns = timestamp_ns - offset_ns
        packets = tuple(
            EncodedPacket(p.data, p.timestamp_ns + shift_ns, p.keyframe) for p in packets
        )
        luma = luma_of(picture, self._settings.luma_width_px)
        return Frame(index, timestamp_ns, wall_ns, luma, picture, packets)

    def close(self) -> None:
        """Ends a wait at once; the container is let go when the reader returns."""
        self._pace.stop()
        self._frames = iter(())
        self._container = None

    def _opened(self) -> av.container.InputContainer:
        options = {}
        if self._address.startswith("rtsp"):
            options = {"rtsp_transport": "tcp", "fflags": "nobuffer"}
        if self._format == "v4l2":
            options = {"video_size": f"{self._settings.width_px}x{self._settings.height_px}"}
            if self._settings.fps:
                options["framerate"] = str(self._settings.fps)
        try:
            container = av.open(
                self._address,
                format=self._format,
                options=options,
                timeout=self._stall_s if self._live else None,
            )
        except (av.FFmpegError, OSError) as error:
            kind = SourceLostError if self._live else SourceError
            raise kind(f"source {self._settings.uri}: {_reason(error)}") from error
        if not container.streams.video:
            raise SourceError(f"source {self._settings.uri}: it has no video stream")
        return container

    def _played(self) -> Iterator[tuple[av.VideoFrame, tuple[EncodedPacket, ...]]]:
        """Decoded frames with the packets they came from; over and over if told to `loop`."""
        base_ns = 0
        while True:
            last_ns, step_ns = base_ns, 0
            for decoded, packets in self._decoded():
                now_ns = base_ns + _time_ns(decoded)
                # A file without or with false times plays on at its frame rate.
                now_ns = max(now_ns, last_ns + 1) if self._index else now_ns
                step_ns, last_ns = now_ns - last_ns or step_ns, now_ns
                decoded.opaque = now_ns
                yield (
                    decoded,
                    tuple(
                        EncodedPacket(p.data, p.timestamp_ns + base_ns, p.keyframe) for p in packets
                    ),
                )
            if self._live or not self._settings.loop or last_ns == base_ns:
                return
            base_ns = last_ns + step_ns
            self._container = self._opened()

    def _decoded(self) -> Iterator[tuple[av.VideoFrame, tuple[EncodedPacket, ...]]]:
        assert self._container is not None
        container, stream = self._container, self._container.streams.video[0]
        keep = _encoded(stream) is not None
        packets: list[EncodedPacket] = []
        bad = 0
        for packet in container.demux(stream):
            if keep and packet.size and packet.pts is not None:
                time_ns = round(packet.pts * packet.time_base * NS_PER_S)
                packets.append(EncodedPacket(bytes(packet), time_ns, packet.is_keyframe))
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                bad += 1
                self._note_corrupt(error, bad)
                continue
            for frame in frames:
                bad = 0
                yield frame, tuple(packets)
                packets.clear()

    def _note_corrupt(self, error: av.FFmpegError, in_a_row: int) -> None:
        self.corrupt += 1
        if self.corrupt == 1:
            log.warning("source %s: damaged data is skipped: %s", self._settings.uri, error)
        if in_a_row >= MAX_CORRUPT_IN_A_ROW:
            raise SourceLostError(f"source {self._settings.uri}: nothing in it can be decoded")

    def _sampled(
        self, frames: Iterator[tuple[av.VideoFrame, tuple[EncodedPacket, ...]]]
    ) -> Iterator[tuple[av.VideoFrame, tuple[EncodedPacket, ...]]]:
        """At most `fps` frames a second; the packets of those left out go with the next."""
        if not self._settings.fps:
            yield from frames
            return
        step_ns, due_ns = NS_PER_S / self._settings.fps, 0.0
        kept: tuple[EncodedPacket, ...] = ()
        for decoded, packets in frames:
            kept += packets
            now_ns = time.monotonic_ns() if self._live else _offset_ns(decoded)
            if now_ns < due_ns - step_ns / 4:
                continue
            due_ns = max(due_ns + step_ns, now_ns + step_ns / 2)
            yield decoded, kept
            kept = ()


def _address(uri: str) -> tuple[str, str | None]:
    """What FFmpeg opens, and as which format where that must be said."""
    if uri.startswith("v4l2:"):
        return uri.removeprefix("v4l2:"), "v4l2"
    if "://" not in uri and Path(uri).expanduser().is_char_device():
        return uri, "v4l2"
    return uri if "://" in uri else str(Path(uri).expanduser()), None


def _encoded(stream: Any) -> EncodedStream | None:
    """Set for H.264 in presentation order, which can be recorded as it comes."""
    context = stream.codec_context
    if context.name != "h264" or context.has_b_frames or not context.extradata:
        return None
    return EncodedStream(stream.width, stream.height, bytes(context.extradata))


def _time_ns(decoded: av.VideoFrame) -> int:
    if decoded.pts is None or decoded.time_base is None:
        return 0
    return round(decoded.pts * decoded.time_base * NS_PER_S)


def _offset_ns(decoded: av.VideoFrame) -> int:
    """Time since the start of play, as `_played` has put it there."""
    return cast(int, decoded.opaque)


def _picture(decoded: av.VideoFrame, size: tuple[int, int]) -> Picture:
    """Strided views on the decoder's own planes where its format allows, else one conversion."""
    if decoded.format.name not in VIEWED:
        decoded = decoded.reformat(format="yuv420p", dst_color_range="MPEG")
    kind = VIEWED[decoded.format.name]
    width, height = size
    planes: list[Plane] = [_view(decoded.planes[0], height, width)]
    if kind is PixelFormat.I420:
        planes += [_view(plane, height // 2, width // 2) for plane in decoded.planes[1:]]
    else:
        planes.append(_view(decoded.planes[1], height // 2, width).reshape(height // 2, -1, 2))
    return Picture(kind, tuple(planes))


def _view(plane: Any, height: int, width: int) -> Plane:
    """(height, width) uint8 on the plane's memory, which it keeps alive."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
