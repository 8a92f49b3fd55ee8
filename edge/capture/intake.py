"""Passes frames to the encoding thread, and drops and counts those that don't fit its queue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edge.capture.counts import Counts
from edge.capture.video.feed import VideoFeed
from edge.runtime.worker import Worker
from edge.vision.types import EncodedPacket, Frame, SourceInfo

# Shares of the queue of the encoding thread. A frame may hold a buffer of the camera; packets hold
# none and are small, and a lost one costs all frames up to the next key frame, which may be 10 s.
FRAME_WEIGHT = 64
PACKET_WEIGHT = 1


class FrameIntake:
    """Gives frames, or the packets of a source that encodes by itself, to the encoding thread.

    When the queue is full, the newest frame is dropped and counted, and the clip shows the frame
    before it for longer. After a dropped packet, all packets up to the next key frame are dropped
    too, as they can't be decoded.

    Belongs to the thread that offers frames. Counts "frames" and "frames_dropped".
    """

    def __init__(self, encoding: Worker, feed: VideoFeed, counts: Counts) -> None:
        self._encoding = encoding
        self._feed = feed
        self._counts = counts
        self._has_packets = False
        self._needs_key_frame = False

    def begin_stream(self, info: SourceInfo) -> None:
        self._has_packets = info.encoded is not None
        self._needs_key_frame = False
        self._encoding.submit(partial(self._feed.begin_stream, info.fps, info.encoded))

    def offer(self, frame: Frame, *, wait: bool) -> bool:
        """Returns False if the frame was dropped. wait: waits for room in the queue."""
        if self._has_packets:
            taken = self._offer_packets(frame.packets, wait)
        else:
            taken = self._encoding.submit(
                partial(self._feed.frame, frame, wait), FRAME_WEIGHT, wait=wait
            )
        self._counts.add("frames" if taken else "frames_dropped")
        return taken

    def _offer_packets(self, packets: Sequence[EncodedPacket], wait: bool) -> bool:
        if self._needs_key_frame:
            keys = [index for index, packet in enumerate(packets) if packet.keyframe]
            packets = packets[keys[0] :] if keys else ()
            self._needs_key_frame = not keys
        if not packets:
            return not self._needs_key_frame
        job, weight = partial(self._feed.packets, packets), PACKET_WEIGHT * len(packets)
        taken = self._encoding.submit(job, weight, wait=wait)
        self._needs_key_frame = not taken
        return taken
