"""Reads files, network streams and V4L2 cameras as sources of frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

import av

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.runtime.times import NS_PER_S
from edge.sources.ffmpeg import Decoded, Decoder, open_container, picture_of, reason
from edge.sources.kinds import kind_of
from edge.sources.pace import Pace
from edge.sources.views import even, luma_of, luma_size
from edge.vision.types import EncodedPacket, Frame, SourceInfo

DEFAULT_FPS = 25.0  # the rate of PAL, where neither container nor codec states one
MAX_CORRUPT_IN_A_ROW = (
    100  # packets, 4 s at 25 fps; more is not damage but something other than video
)
MIN_SIDE_PX = 16  # a macroblock: encoders make no smaller picture, so it is damage
EARLY = 1 / 4  # share of the time between frames by which one may come early and is kept

log = logging.getLogger(__name__)


class VideoSource:
    """A recording plays at its own pace (or `fast`); a stream or device gives frames as they come.

    corrupt: packets that could not be decoded, and pictures too small to show anything; both are
    skipped.
    """

    def __init__(self, settings: SourceSettings, stall_s: float = 5.0) -> None:
        self._settings = settings
        self._stall_s = stall_s
        self._live = kind_of(settings.uri).live
        self._pace = Pace(fast=settings.fast)
        self._frames: Iterator[Decoded] = iter(())
        self._index = 0
        self.corrupt = 0

    def open(self) -> SourceInfo:
        """Raises SourceError, or SourceLostError for a live source that may work later."""
        self._pace.start()
        self._index = 0
        decoder = self._decoder()
        if decoder.problem:
            log.warning(
                "source %s: %s: its packets can't be recorded, so clips are encoded again",
                self._settings.name, decoder.problem,
            )  # fmt: skip
        stream = decoder.stream
        self._require_size(stream.width, stream.height)
        size = (even(stream.width), even(stream.height))
        self._frames = self._sampled(self._played(decoder))
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
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
        """The next frame, when it is due. Raises SourceLostError."""
        try:
            decoded = next(self._frames)
        except StopIteration:
            if self._live and not self._pace.stopped:
                raise SourceLostError(f"source {self._settings.name} ended") from None
            return None
        except (av.FFmpegError, OSError) as error:
            if self._pace.stopped:
                return None
            raise SourceLostError(f"source {self._settings.name}: {reason(error)}") from error
        index, self._index = self._index, self._index + 1
        if self._live:
            timestamp_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        else:
            timestamp_ns, wall_ns = self._pace.wait(decoded.time_ns)
        image = decoded.image  # at its own size, which may change at any frame
        picture = picture_of(image, (even(image.width), even(image.height)))
        packets = _shifted(decoded.packets, timestamp_ns - decoded.time_ns)
        luma = luma_of(picture, self._settings.luma_width_px)
        return Frame(index, timestamp_ns, wall_ns, luma, picture, packets)

    def close(self) -> None:
        """Ends a wait at once; the container is closed when the reader returns."""
        self._pace.stop()
        self._frames = iter(())

    def _decoder(self) -> Decoder:
        return Decoder(open_container(self._settings, self._stall_s), self._note_corrupt)

    def _require_size(self, width: int, height: int) -> None:
        """Raises SourceError, or SourceLostError for a live source, if nothing can be seen."""
        if min(width, height) < MIN_SIDE_PX:
            failure = SourceLostError if self._live else SourceError
            raise failure(
                f"source {self._settings.name}: its picture has {width}x{height} pixels, but at "
                f"least {MIN_SIDE_PX}x{MIN_SIDE_PX} are needed"
            )

    def _note_corrupt(self, error: av.FFmpegError, in_a_row: int) -> None:
        self.corrupt += 1
        if self.corrupt == 1:
            log.warning("source %s: damaged data is skipped: %s", self._settings.name, error)
        if in_a_row >= MAX_CORRUPT_IN_A_ROW:
            raise SourceLostError(f"source {self._settings.name}: nothing in it can be decoded")

    def _played(self, decoder: Decoder) -> Iterator[Decoded]:
        """Decoded images with the time since the start of play; with `loop`, without end."""
        base_ns = 0
        while True:
            last_ns, step_ns = base_ns, 0
            for decoded in decoder:
                if min(decoded.image.width, decoded.image.height) < MIN_SIDE_PX:
                    self.corrupt += 1
                    continue
                now_ns = base_ns + decoded.time_ns
                # A file's times may be missing or go back; those of frames must rise.
                now_ns = max(now_ns, last_ns + 1) if self._index else now_ns
                step_ns, last_ns = now_ns - last_ns or step_ns, now_ns
                yield Decoded(decoded.image, now_ns, _shifted(decoded.packets, base_ns))
            if self._live or not self._settings.loop or last_ns == base_ns:
                return
            base_ns = last_ns + step_ns
            decoder = self._decoder()

    def _sampled(self, played: Iterator[Decoded]) -> Iterator[Decoded]:
        """At most `fps` images a second; an omitted image's packets come with the next one."""
        if not self._settings.fps:
            yield from played
            return
        step_ns, due_ns = NS_PER_S / self._settings.fps, 0.0
        kept: tuple[EncodedPacket, ...] = ()
        for decoded in played:
            kept += decoded.packets
            now_ns = time.monotonic_ns() if self._live else decoded.time_ns
            if now_ns < due_ns - step_ns * EARLY:
                continue
            due_ns = max(due_ns + step_ns, now_ns + step_ns / 2)
            yield replace(decoded, packets=kept)
            kept = ()


def _shifted(packets: tuple[EncodedPacket, ...], shift_ns: int) -> tuple[EncodedPacket, ...]:
    return tuple(replace(packet, timestamp_ns=packet.timestamp_ns + shift_ns) for packet in packets)
