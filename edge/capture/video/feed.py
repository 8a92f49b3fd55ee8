"""Gives the cutter its packets: the source's own, or pictures encoded when a clip needs them."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Sequence

from edge.capture.counts import Counts
from edge.capture.group import CaptureGroup
from edge.capture.request import CaptureRequest
from edge.capture.video.cutter import TRIGGER_DELAY_S, ClipCutter
from edge.capture.video.encoder import DEFAULT_FPS, FrameEncoder
from edge.capture.video.picture_ring import PictureRing
from edge.config.schema import CaptureSettings
from edge.runtime.machine import memory_bytes
from edge.runtime.times import NS_PER_S
from edge.runtime.worker import Worker
from edge.vision.picture import Picture
from edge.vision.types import EncodedPacket, EncodedStream, Frame

# Beyond the pre-roll, for the time from a frame to its trigger and until the encoder gets to the
# oldest picture: less is not worth keeping pictures for.
_LEAST_DELAY_S = 1.0
# A daemon without it takes 130 MB, and the unit's MemoryHigh is 320 MB. A machine of 512 MB has
# 430 MB: 62 pictures of 1280x720, 4 s at 15 frames/s.
_SHARE_OF_MEMORY, _MOST_BYTES = 5, 160 << 20
_FINISH_S = 3.0  # for the rest of a clip at the end of a stream; `Recorder.stop` waits for 5 s
_MAX_WAITING = 16  # triggers until the encoder has caught up

log = logging.getLogger(__name__)


def pre_roll_bytes(settings: CaptureSettings) -> int:
    """Memory for pictures of the pre-roll."""
    return settings.pre_roll_bytes or min(_MOST_BYTES, memory_bytes() // _SHARE_OF_MEMORY)


class VideoFeed:
    """Keeps the pictures of the pre-roll, and encodes from a trigger to the end of its clip.

    A picture in a camera's buffer is copied at once; others are kept as they came. Pictures are
    encoded in order, each at most once, in jobs of one picture behind the frames that wait. Where
    they come faster than that, the oldest are dropped when `capture.pre_roll_bytes` are in use,
    and counted as "frames_dropped". Where these bytes hold less than the pre-roll, every picture is
    encoded at once.

    Belongs to the thread of `encoding`, to which it adds its jobs.
    """

    def __init__(
        self, settings: CaptureSettings, cutter: ClipCutter, encoding: Worker, counts: Counts
    ) -> None:
        self._settings = settings
        self._cutter = cutter
        self._encoding = encoding
        self._counts = counts
        self._fps = 0.0
        self._encoder: FrameEncoder | None = None
        self._ring: PictureRing | None = None
        self._next = 0  # the number of the picture to be encoded next
        self._waiting: deque[tuple[CaptureGroup, CaptureRequest]] = deque()
        self._scheduled = False

    def begin_stream(self, fps: float, encoded: EncodedStream | None) -> None:
        """Completes the open clip; later clips hold nothing from before this call.

        encoded: set if the source gives packets, None if frames are to be encoded.
        """
        self.end_clip()
        self._cutter.begin_stream(encoded)
        self._encoder = self._ring = None
        self._fps = fps

    def packets(self, packets: Sequence[EncodedPacket]) -> None:
        """Adds packets of the source in order of time."""
        self._cutter.packets(packets)

    def frame(self, frame: Frame, wait: bool = False) -> None:
        """Adds a frame. Another picture size or format begins a new stream.

        wait: encodes older pictures first rather than drop one.
        """
        encoder = self._encoder
        if encoder is None or not encoder.takes(frame.main):
            encoder = self._begin_encoding(frame.main)
        if self._ring is not None and self._ring.full:
            self._make_room(self._ring, wait)
        if self._ring is None:
            self._cutter.packets(encoder.encode(frame))
        else:
            as_it_came = frame.lease is None and encoder.fits(frame.main)
            self._keep(self._ring, frame, as_it_came)

    def trigger(self, group: CaptureGroup, request: CaptureRequest) -> None:
        """Joins or starts a clip, once the pictures up to the request's are encoded.

        Call it after all frames up to the request's. Raises CaptureError if there is no video.
        """
        if self._ring is None:
            self._cutter.trigger(group, request)
            return
        while len(self._waiting) >= _MAX_WAITING:
            self.step()
        if not self._is_needed():
            pre_roll_ns = int(self._settings.pre_roll_s * NS_PER_S)
            self._seek(self._ring, request.timestamp_ns - pre_roll_ns)
        self._waiting.append((group, request))
        self._go_on()

    def end_clip(self) -> None:
        """Encodes the rest of the open clip, and completes it. A late request may still get one."""
        due_s = time.monotonic() + _FINISH_S
        while self.step():
            if time.monotonic() > due_s:
                self._give_up()
                break
        self._cutter.end_clip()

    def step(self) -> bool:
        """Encodes the next picture that a clip needs; False if none has come or none is needed."""
        if self._ring is None or self._encoder is None or not self._is_needed():
            return False
        kept = self._ring.get(self._next)
        if self._waiting and (kept is None or self._waiting[0][1].timestamp_ns < kept.timestamp_ns):
            self._cutter.trigger(*self._waiting.popleft())
        elif kept is None:
            return False
        else:
            self._next += 1
            self._cutter.packets(self._encoder.encode_picture(kept.picture, kept.timestamp_ns))
        return True

    def _begin_encoding(self, picture: Picture) -> FrameEncoder:
        self.begin_stream(self._fps, None)
        self._encoder = FrameEncoder(
            picture.width,
            picture.height,
            self._fps,
            self._settings.clip_height_px,
            picture.format,
        )
        self._cutter.begin_stream(self._encoder.stream)
        self._ring = self._new_ring(self._encoder)
        self._next = 0
        return self._encoder

    def _new_ring(self, encoder: FrameEncoder) -> PictureRing | None:
        """None if the memory is too small at the source's frame rate."""
        bytes_, pre_roll_s = pre_roll_bytes(self._settings), self._settings.pre_roll_s
        capacity = bytes_ // encoder.picture_bytes
        fps = self._fps or DEFAULT_FPS
        if capacity < math.ceil((pre_roll_s + _LEAST_DELAY_S) * fps):
            self._report_always(f"{pre_roll_s + _LEAST_DELAY_S:g} s of {fps:g} frames/s")
            return None
        return PictureRing(encoder.canvas, int((pre_roll_s + TRIGGER_DELAY_S) * NS_PER_S), capacity)

    def _report_always(self, wanted: str) -> None:
        log.info(
            "the encoder runs all the time, as capture.pre_roll_bytes (%d) are too few for %s",
            pre_roll_bytes(self._settings), wanted,
        )  # fmt: skip

    def _make_room(self, ring: PictureRing, wait: bool) -> None:
        """Encodes instead of dropping, or ends the ring if it turns out to be shorter than it must.

        The ring is full.
        """
        if not self._is_needed():
            if ring.kept_ns < self._settings.pre_roll_s * NS_PER_S:
                self._report_always("the frame rate, which is higher than the source states")
                self._encode_always(ring)
            return
        while wait and self._next <= ring.first and self.step():
            pass

    def _encode_always(self, ring: PictureRing) -> None:
        """Encodes what the ring holds, so that no pre-roll is lost, and does without it."""
        assert self._encoder is not None
        self._seek(ring, 0)
        while (kept := ring.get(self._next)) is not None:
            self._next += 1
            self._cutter.packets(self._encoder.encode_picture(kept.picture, kept.timestamp_ns))
        self._ring = None

    def _keep(self, ring: PictureRing, frame: Frame, as_it_came: bool) -> None:
        needed = self._is_needed()
        ring.add(
            frame.main,
            frame.timestamp_ns,
            as_it_came=as_it_came,
            needed=self._next if needed else None,
        )
        if needed:
            if self._next < ring.first:
                self._next = ring.first
                self._counts.add("frames_dropped")
            self._go_on()

    def _is_needed(self) -> bool:
        """Whether pictures are to be encoded."""
        return bool(self._waiting) or self._cutter.recording

    def _seek(self, ring: PictureRing, start_ns: int) -> None:
        """Leaves out the pictures before a clip, unless those before them were encoded for another.

        Packets that were encoded before a gap are of no use for the clip.
        """
        first = ring.number_at(start_ns)
        if self._next < first and self._encoder is not None:
            self._next = first
            self._encoder.begin_group()
            self._cutter.forget()

    def _go_on(self) -> None:
        """Adds a job for the next picture, behind the frames that wait already."""
        if not self._scheduled:
            self._scheduled = self._encoding.submit(self._work)

    def _work(self) -> None:
        self._scheduled = False
        if self.step():
            self._go_on()

    def _give_up(self) -> None:
        """Counts the pictures for which there was no time, and starts the clips without them."""
        assert self._ring is not None
        while self._waiting:
            self._cutter.trigger(*self._waiting.popleft())
        while (kept := self._ring.get(self._next)) and self._cutter.wants(kept.timestamp_ns):
            self._next += 1
            self._counts.add("frames_dropped")
