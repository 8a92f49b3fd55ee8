"""Keeps the pre-roll: the last seconds of encoded video, decodable from its first packet."""

from __future__ import annotations

from collections import deque

from edge.runtime.times import NS_PER_S
from edge.vision.types import EncodedPacket


class PacketRing:
    """Whole groups of packets, each from its key frame on.

    The oldest group is dropped when the others cover `span_s` back from the newest packet, or when
    all together exceed `max_bytes`. A group that exceeds `max_bytes` alone is dropped too, and the
    ring stays empty until the next key frame. Not thread-safe.
    """

    def __init__(self, span_s: float, max_bytes: int) -> None:
        self._span_ns = int(span_s * NS_PER_S)
        self._max_bytes = max_bytes
        self._groups: deque[list[EncodedPacket]] = deque()
        self._group_bytes: deque[int] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def add(self, packet: EncodedPacket) -> None:
        """Adds packets in order of time; those before the first key frame are omitted."""
        if packet.keyframe:
            self._groups.append([])
            self._group_bytes.append(0)
        elif not self._groups:
            return
        self._groups[-1].append(packet)
        self._group_bytes[-1] += len(packet.data)
        self.bytes += len(packet.data)
        self._trim(packet.timestamp_ns - self._span_ns)

    def since(self, timestamp_ns: int) -> list[EncodedPacket]:
        """All packets from the last key frame at or before the time, otherwise from the first."""
        first = 0
        for index, group in enumerate(self._groups):
            if group[0].timestamp_ns <= timestamp_ns:
                first = index
        groups = list(self._groups)[first:]
        return [packet for group in groups for packet in group]

    def clear(self) -> None:
        self._groups.clear()
        self._group_bytes.clear()
        self.bytes = 0

    def _trim(self, covered_ns: int) -> None:
        while len(self._groups) > 1 and self._groups[1][0].timestamp_ns <= covered_ns:
            self._drop_oldest()
        while self.bytes > self._max_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._groups.popleft()
        self.bytes -= self._group_bytes.popleft()
