"""The bounded queue of numbered messages, from the threads that publish to the one that sends."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from edge.bus.latest import Latest
from edge.messages import AnyMessage, Header, M, topic_of
from edge.runtime.times import NS_PER_S

QUEUE_LENGTH: Final = 1000  # a minute of messages at 15 per second


class Outbox:
    """Numbers messages and holds up to `QUEUE_LENGTH`; drops the oldest and counts them.

    Since messages are numbered here, a dropped one is a gap that every subscriber finds. Callable
    from any thread; nothing waits.
    """

    def __init__(self, camera: str, boot_id: str) -> None:
        self._camera = camera
        self._boot_id = boot_id
        self._queue: deque[tuple[AnyMessage, bytes | None]] = deque()
        self._lock = threading.Lock()
        self._sequence = 0
        self._topic_sequences: Counter[str] = Counter()
        self._latest = Latest()
        self._progress_ns = 0  # time of the last `take`, or of the last `put` into an empty queue
        self.dropped = 0

    def put(self, message: M, timestamp_ns: int, wall_ns: int, jpeg: bytes | None) -> M:
        """Returns the message with its header. The times are those of the exposure."""
        topic = topic_of(message, self._camera)
        wall_time = datetime.fromtimestamp(wall_ns / NS_PER_S, UTC)
        with self._lock:
            self._sequence += 1
            self._topic_sequences[topic] += 1
            header = Header(
                camera=self._camera,
                boot_id=self._boot_id,
                sequence=self._sequence,
                topic_sequence=self._topic_sequences[topic],
                wall_time=wall_time,
                timestamp_ns=timestamp_ns,
            )
            if not self._queue:
                self._progress_ns = time.monotonic_ns()
            if len(self._queue) >= QUEUE_LENGTH:
                self._latest.note(self._queue.popleft()[0])  # for new subscribers
                self.dropped += 1
            message = msgspec.structs.replace(message, header=header)
            self._queue.append((message, jpeg))
        return message

    def take(self) -> tuple[AnyMessage, bytes | None] | None:
        """Removes the oldest message with its JPEG; None if there is none."""
        with self._lock:
            if not self._queue:
                return None
            message, jpeg = self._queue.popleft()
            self._progress_ns = time.monotonic_ns()
            self._latest.note(message)
            return message, jpeg

    def repeats(self, prefixes: Iterable[bytes]) -> list[AnyMessage]:
        """The messages for new subscribers to these topics; see `Latest`."""
        with self._lock:
            return self._latest.repeats(prefixes)

    @property
    def published(self) -> int:
        """Number of messages put in so far."""
        return self._sequence

    def behind_s(self) -> float:
        """How long messages have waited without one being taken; 0 if none waits."""
        return (time.monotonic_ns() - self._progress_ns) / NS_PER_S if self._queue else 0.0
