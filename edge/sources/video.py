"""Reads files, network streams and V4L2 cameras as sources of frames."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import av

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.runtime.times import NS_PER_S
from edge.sources.clock import SourceClock
from edge.sources.display import shown
from edge.sources.ffmpeg import (
    Decoder,
    fps_of,
    is_recording,
    open_container,
    period_ns_of,
    picture_of,
    reason,
)
from edge.sources.kinds import kind_of
from edge.sources.pace import Pace
from edge.sources.views import even, luma_of, luma_size
from edge.vision.types import Display, EncodedPacket, Frame, SourceInfo

MAX_CORRUPT_IN_A_ROW = (
    100  # packets, 4 s at 25 fps; more is not damage but something other than video
)
MIN_SIDE_PX = 16  # a macroblock: encoders make no smaller picture, so it is damage
EARLY = 1 / 4  # share of the time between frames by which one may come early and is kept

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A decoded image with its time and its packets.

    time_ns: of a recording, since the start of play; of a live source, the monotonic time at
    which it came. The packet that gave the image has the same time.
    """

    image: av.VideoFrame
    display: Display
    time_ns: int
    packets: tuple[EncodedPacket, ...]


class VideoSource:
    """A recording plays at its own pace (or `fast`); a stream or device gives frames as they come.

    clip_height_px: packets are given only if the picture, as it is shown, is at most this high;
    0 = of any height. corrupt: packets that could not be decoded, and pictures too small to show
    anything; both are skipped.
    """

    def __init__(
        self, settings: SourceSettings, stall_s: float = 5.0, clip_height_px: int = 0
    ) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._clip_height_px = clip_height_px
        self._live = kind_of(settings.uri).live
        self._pace = Pace(fast=settings.fast)
        self._frames: Iterator[_Timed] = iter(())
        self._clock = SourceClock(NS_PER_S)
        self._index = 0
        self.corrupt = 0

    @property
    def time_jumps(self) -> int:
        """How often the stream's own times stepped back or leapt; frames' times don't follow."""
        return self._clock.jumps

    def open(self) -> SourceInfo:
        """Decodes the first frame, as only it tells how the picture is to be shown.

        Raises SourceError, or SourceLostError for a live source that may work later.
        """
        self._pace.start()
        self._index = 0
        decoder = self._decoder()
        self._live = not decoder.recording
        if decoder.problem:
            log.warning(
                "source %s: %s: its packets can't be recorded, so clips are encoded again",
                self._settings.name, decoder.problem,
            )  # fmt: skip
        stream, fps = decoder.stream, fps_of(decoder.stream)
        self._clock = SourceClock(period_ns_of(stream), self._clock.jumps)
        if stream.width:  # otherwise only the pictures tell it, from the first key frame on
            self._require_size(stream.width, stream.height)
        self._frames = self._sampled(self._played(decoder))
        size = self._begin(stream)
        return SourceInfo(
            self._settings.name,
            size,
            luma_size(*size, self._settings.luma_width_px),
            min(fps, self._settings.fps or fps),
            live=self._live,
            frame_count=stream.frames or None,
            encoded=decoder.encoded,
        )

    def read(self) -> Frame | None:
        """The next frame, when it is due.

        Raises SourceLostError for a live source, and SourceError for a recording that can't be
        read on: opened again, it would begin from its start.
        """
        try:
            timed = next(self._frames)
        except StopIteration:
            if self._live and not self._pace.stopped:
                raise SourceLostError(f"source {self._settings.name} ended") from None
            return None
        except (av.FFmpegError, OSError) as error:
            if self._pace.stopped:
                return None
            raise self._failure(reason(error)) from error
        index, self._index = self._index, self._index + 1
        packets = timed.packets
        if self._live:
            timestamp_ns = timed.time_ns
            wall_ns = time.time_ns() - (time.monotonic_ns() - timestamp_ns)
        else:
            timestamp_ns, wall_ns = self._pace.wait(timed.time_ns)
            packets = _shifted(packets, timestamp_ns - timed.time_ns)
        picture = shown(picture_of(timed.image), timed.display)
        luma = luma_of(picture, self._settings.luma_width_px)
        return Frame(index, timestamp_ns, wall_ns, luma, picture, packets)

    def close(self) -> None:
        """Ends a wait at once; the container is closed when the reader returns."""
        self._pace.stop()
        self._frames = iter(())

    def _decoder(self) -> Decoder:
        container = open_container(self._settings, self._stall_s)
        recording = is_recording(container, self._settings)
        return Decoder(container, self._note_corrupt, self._clip_height_px, recording=recording)

    def _begin(self, stream: av.VideoStream) -> tuple[int, int]:
        """Decodes the first frame, which the next `read` returns; the size of all frames."""
        frames = self._frames
        try:
            first = next(frames, None)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(reason(error)) from error
        if first is None:
            if not stream.width:
                raise self._failure("nothing in it can be decoded")
            return even(stream.width), even(stream.height)
        self._frames = itertools.chain([first], frames)
        width, height = first.display.size(even(first.image.width), even(first.image.height))
        self._require_size(width, height)
        return even(width), even(height)

    def _require_size(self, width: int, height: int) -> None:
        """Raises SourceError, or SourceLostError for a live source, if nothing can be seen."""
        if min(width, height) < MIN_SIDE_PX:
            raise self._failure(
                f"its picture has {width}x{height} pixels, but at least {MIN_SIDE_PX}x{MIN_SIDE_PX}"
                " are needed"
            )

    def _failure(self, reason: str) -> SourceError | SourceLostError:
        failure = SourceLostError if self._live else SourceError
        return failure(f"source {self._settings.name}: {reason}")

    def _note_corrupt(self, error: av.FFmpegError, in_a_row: int) -> None:
        self.corrupt += 1
        if self.corrupt == 1:
            log.warning("source %s: damaged data is skipped: %s", self._settings.name, error)
        if in_a_row >= MAX_CORRUPT_IN_A_ROW:
            raise self._failure("nothing in it can be decoded")

    def _played(self, decoder: Decoder) -> Iterator[_Timed]:
        """Decoded images with their times; with `loop`, without end."""
        last_ns: int | None = None
        while True:
            any_image = False
            for decoded in decoder:
                if min(decoded.image.width, decoded.image.height) < MIN_SIDE_PX:
                    self.corrupt += 1
                    continue
                any_image = True
                now_ns = self._time_ns(decoded.stated_ns)
                packets = _timed(decoded.packets, now_ns if last_ns is None else last_ns, now_ns)
                yield _Timed(decoded.image, decoded.display, now_ns, packets)
                last_ns = now_ns
            if self._live or not self._settings.loop or not any_image:
                return
            self._clock.begin_again()
            decoder = self._decoder()

    def _time_ns(self, stated_ns: int | None) -> int:
        """The time of the next image: the source's clock, or of a live source the time it came.

        A live stream's own clock runs at another speed than the one here, and would lag or lead
        without bounds; its jumps are counted all the same.
        """
        jumps = self._clock.jumps
        now_ns = self._clock(stated_ns)
        if self._clock.jumps > jumps == 0:
            log.warning(
                "source %s: its times step back or leap; the frame period is used instead",
                self._settings.name,
            )
        return time.monotonic_ns() if self._live else now_ns

    def _sampled(self, played: Iterator[_Timed]) -> Iterator[_Timed]:
        """At most `fps` images a second; an omitted image's packets come with the next one."""
        if not self._settings.fps:
            yield from played
            return
        step_ns, due_ns = NS_PER_S / self._settings.fps, 0.0
        kept: tuple[EncodedPacket, ...] = ()
        for timed in played:
            kept += timed.packets
            now_ns = timed.time_ns
            if now_ns < due_ns - step_ns * EARLY:
                continue
            due_ns = max(due_ns + step_ns, now_ns + step_ns / 2)
            yield replace(timed, packets=kept)
            kept = ()


def _timed(
    packets: tuple[tuple[bytes, bool], ...], last_ns: int, now_ns: int
) -> tuple[EncodedPacket, ...]:
    """The packets with times: the last has the image's, those that gave none lie before it."""
    step_ns = (now_ns - last_ns) / max(1, len(packets))
    return tuple(
        EncodedPacket(data, now_ns - round(step_ns * (len(packets) - 1 - index)), is_key_frame)
        for index, (data, is_key_frame) in enumerate(packets)
    )


def _shifted(packets: tuple[EncodedPacket, ...], shift_ns: int) -> tuple[EncodedPacket, ...]:
    return tuple(replace(packet, timestamp_ns=packet.timestamp_ns + shift_ns) for packet in packets)
