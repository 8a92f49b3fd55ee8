"""Decides which packets each clip gets and when it ends, by frame time alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.capture.group import CaptureGroup
from edge.capture.request import CaptureRequest
from edge.capture.video.ring import PacketRing
from edge.capture.video.window import ClipWindow
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.times import NS_PER_S
from edge.vision.types import EncodedPacket, EncodedStream

# Bounds the pre-roll in memory: 60 s, the longest that can be configured, at 6.7 Mbit/s.
_MAX_RING_BYTES = 48 << 20
# By how much the ring is longer than the pre-roll, as a trigger comes after its frame: a track is
# confirmed within a second or two, and requests may wait.
TRIGGER_DELAY_S = 3.0


class ClipSink(Protocol):
    """The writer of clips: `CaptureWriter`, or an object that passes the calls on to it."""

    def start_clip(
        self, group: CaptureGroup, stream: EncodedStream, pre_roll: Sequence[EncodedPacket]
    ) -> None: ...

    def join_clip(self, request: CaptureRequest) -> None: ...

    def feed(self, packet: EncodedPacket) -> None: ...

    def end_clip(self) -> None: ...


class ClipCutter:
    """Keeps the pre-roll and cuts clips out of the stream.

    Belongs to one thread.
    """

    def __init__(self, settings: CaptureSettings, sink: ClipSink) -> None:
        self._settings = settings
        self._sink = sink
        self._ring = PacketRing(settings.pre_roll_s + TRIGGER_DELAY_S, _MAX_RING_BYTES)
        self._window: ClipWindow | None = None
        self._stream: EncodedStream | None = None

    @property
    def recording(self) -> bool:
        """Whether a clip is open."""
        return self._window is not None

    def wants(self, timestamp_ns: int) -> bool:
        """Whether a packet of that time belongs to the open clip."""
        return self._window is not None and timestamp_ns in self._window

    def begin_stream(self, stream: EncodedStream | None) -> None:
        """Completes the open clip; later clips hold no packets from before this call.

        stream: None if it is not known yet.
        """
        self.end_clip()
        self.forget()
        self._stream = stream

    def forget(self) -> None:
        """Empties the pre-roll, as the next packets don't continue it."""
        self._ring.clear()

    def end_clip(self) -> None:
        """Completes the open clip, if any. A late request may still get a clip from the ring."""
        if self._window is not None:
            self._window = None
            self._sink.end_clip()

    def packets(self, packets: Sequence[EncodedPacket]) -> None:
        """Adds packets in order of time, from the encoder or from the source itself."""
        for packet in packets:
            self._ring.add(packet)
            if self._window is None:
                continue
            if packet.timestamp_ns in self._window:
                self._sink.feed(packet)
            else:
                self.end_clip()

    def trigger(self, group: CaptureGroup, request: CaptureRequest) -> None:
        """Joins the open clip, or starts one for this group.

        Call it after all frames up to the request's, so that a window which ended earlier is
        complete. Raises CaptureError if there is no video at all.
        """
        if self._window is not None and request.timestamp_ns in self._window:
            self._window.lengthen(request.timestamp_ns)
            self._window.follow(request.presence)
            self._sink.join_clip(request)
        else:
            if self._stream is None:
                raise CaptureError(f"event {request.event_id} has no clip: no video has come yet")
            self.end_clip()
            self._start_clip(group, self._stream, request)

    def _start_clip(
        self, group: CaptureGroup, stream: EncodedStream, request: CaptureRequest
    ) -> None:
        trigger_ns = request.timestamp_ns
        start_ns = trigger_ns - int(self._settings.pre_roll_s * NS_PER_S)
        kept = self._ring.since(start_ns)
        first_ns = kept[0].timestamp_ns if kept else trigger_ns
        self._window = ClipWindow.after(trigger_ns, first_ns, self._settings)
        self._window.follow(request.presence)
        pre_roll = [packet for packet in kept if packet.timestamp_ns in self._window]
        self._sink.start_clip(group, stream, pre_roll)
        if len(pre_roll) < len(kept):  # the request came so late that its post-roll is over
            self.end_clip()
