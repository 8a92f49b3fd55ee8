"""Writes MP4 clips from H.264 packets, without encoding them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import av
from av.stream import Stream
from av.video.stream import VideoStream

from edge.capture.disk import capturing
from edge.errors import CaptureError
from edge.runtime.files import PartFile, part_of
from edge.runtime.times import NS_PER_S
from edge.vision.types import Display, EncodedPacket, EncodedStream

# The second flag keeps all tags under their names; without it an MP4 has the time in whole seconds.
_FLAGS = "faststart+use_metadata_tags"
_TICKS_PER_S = 90_000  # the clock of MPEG streams: whole ticks for all usual frame rates
_MATRIX_ONE, _MATRIX_LAST = 1 << 16, 1 << 30  # fixed point in the matrix of an MP4's track
_LONE_FRAME_TICKS = _TICKS_PER_S // 25  # duration of a clip with one frame: as at 25 fps

_Muxed: TypeAlias = "av.Packet[Stream]"


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """A finished clip. wall_ns: Unix time of its first frame."""

    path: Path
    bytes: int
    duration_s: float
    frames: int
    wall_ns: int


class ClipWriter:
    """Muxes packets to an MP4 whose frames have the times of their packets.

    The file has its index in front (faststart), so that it plays while it is still being loaded,
    and gets its name only when it is complete. wall_offset_ns: Unix time minus the packets' clock.
    tags: returns metadata for the Unix time of the first frame. Every method raises CaptureError;
    after that only `abort` may follow.
    """

    def __init__(
        self,
        path: Path,
        stream: EncodedStream,
        wall_offset_ns: int = 0,
        tags: Callable[[int], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self.bytes = 0
        self.frames = 0
        self._path = path
        self._display = stream.display
        self._wall_offset_ns = wall_offset_ns
        self._tags = tags
        self._first_ns = 0
        self._last_tick = -1
        self._duration_ticks = _LONE_FRAME_TICKS
        with self._failing():
            # A path, not a file object, as FFmpeg reads the file again to put the index in front.
            # FFmpeg opens the file at the first packet.
            self._container = av.open(
                str(part_of(path.absolute())), "w", format="mp4", options={"movflags": _FLAGS}
            )
            self._video: VideoStream | None = None
            if stream.display == Display():
                self._video = self._plain_stream(stream)
            self.part = PartFile(path)

    def feed(self, packet: EncodedPacket) -> None:
        """Adds packets in order of time; those before the first key frame are omitted."""
        if not self.frames and not packet.keyframe:
            return
        if not self.frames:
            self._begin(packet.timestamp_ns)
        with self._failing():
            if self._video is None:
                self._video = self._shown_stream(packet)
            self._container.mux_one(self._timed(av.Packet(packet.data), self._video, packet))
        self.frames += 1
        self.bytes += len(packet.data)

    def finish(self) -> ClipInfo:
        """Completes the file under its name. A clip without a frame is an error."""
        info = self.complete()
        with self._failing():
            self.part.publish()
        return info

    def complete(self) -> ClipInfo:
        """Completes the file; `part` publishes it. A clip without a frame is an error."""
        if not self.frames:
            raise CaptureError(f"{self._path} was not written: no video came in its time span")
        with self._failing():
            self._container.close()
            size = self.part.sync()
        return ClipInfo(
            self._path,
            size,
            (self._last_tick + self._duration_ticks) / _TICKS_PER_S,
            self.frames,
            self._first_ns + self._wall_offset_ns,
        )

    def abort(self) -> None:
        """Removes the unfinished file."""
        with suppress(OSError):
            self.part.discard()
        with suppress(OSError, av.FFmpegError):
            self._container.close()

    def _begin(self, first_ns: int) -> None:
        self._first_ns = first_ns
        wall_ns = first_ns + self._wall_offset_ns
        created = datetime.fromtimestamp(wall_ns / NS_PER_S, UTC)
        tags = {"creation_time": f"{created:%Y-%m-%dT%H:%M:%S.%fZ}", **self._tags(wall_ns)}
        self._container.metadata.update(tags)

    def _plain_stream(self, stream: EncodedStream) -> VideoStream:
        video = self._container.add_mux_stream("h264", width=stream.width, height=stream.height)
        assert isinstance(video, VideoStream)
        video.time_base = Fraction(1, _TICKS_PER_S)
        return video

    def _shown_stream(self, packet: EncodedPacket) -> VideoStream:
        """A stream that says how it is to be shown. packet: its first, a key frame.

        PyAV can set that only on a stream with a codec, which a template has.
        """
        with av.open(BytesIO(packet.data), format="h264") as template:
            video = self._container.add_stream_from_template(template.streams.video[0])
        assert isinstance(video, VideoStream)
        video.time_base = Fraction(1, _TICKS_PER_S)
        video.codec_context.sample_aspect_ratio = self._display.sample_aspect
        a, b, c, d = (_MATRIX_ONE * entry for entry in self._display.linear)
        video.set_display_matrix((a, b, 0, c, d, 0, 0, 0, _MATRIX_LAST))
        return video

    def _timed(self, muxed: _Muxed, video: VideoStream, packet: EncodedPacket) -> _Muxed:
        elapsed = round((packet.timestamp_ns - self._first_ns) * _TICKS_PER_S / NS_PER_S)
        tick = max(self._last_tick + 1, elapsed)  # times in an MP4 must rise
        if self.frames:
            self._duration_ticks = tick - self._last_tick
        self._last_tick = tick
        muxed.stream = video
        muxed.time_base = Fraction(1, _TICKS_PER_S)
        muxed.pts = muxed.dts = tick
        muxed.duration = self._duration_ticks  # used for the last frame only
        muxed.is_keyframe = packet.keyframe
        return muxed

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with capturing(self._path):
                yield
        except av.FFmpegError as error:
            reason = error.strerror or error
            raise CaptureError(f"{self._path} could not be written: {reason}") from error
