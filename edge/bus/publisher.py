"""The publisher: one thread owns the socket, and nobody ever waits for it.

`publish` puts a message on a bounded queue and returns. Sequence numbers are given there, so that
what the queue had to drop is a gap that every subscriber sees. A slow subscriber fills its own
high-water mark and loses its own messages.

Whoever subscribes is sent the last health and the open tracks again, each as it was published but
for its `repeated`. ZeroMQ sends a message to all who want its topic, so that others get it a second
time; they know it by its sequence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime

import msgspec
import zmq

from edge.bus.door import Door
from edge.bus.latest import Latest
from edge.config.schema import BusSettings
from edge.messages import AnyMessage, Header, M, encode, topic_of
from edge.runtime.times import NS_PER_S

QUEUE_LENGTH = 1000
IDLE_MS = 1000
MAX_SUBSCRIPTION_BYTES = 1024
MAX_SUBSCRIPTIONS = 1000  # that are looked at before the next message is sent
REPEAT_EVERY_S = 0.1  # however many join, what is repeated for them goes out once in this time

log = logging.getLogger(__name__)


class Publisher:
    """XPUB socket behind a queue that drops its oldest and counts them in `dropped`."""

    def __init__(self, settings: BusSettings, camera: str, boot_id: str) -> None:
        self._settings = settings
        self._camera = camera
        self._boot_id = boot_id
        self._queue: deque[tuple[AnyMessage, bytes | None]] = deque()
        self._lock = threading.Lock()
        self._stopping = False
        self._sequence = 0
        self._topic_sequences: Counter[str] = Counter()
        self._latest = Latest()
        self._joined: set[bytes] = set()
        self._repeat_due_s = 0.0
        self._door: Door | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._moved_ns = 0
        self.dropped = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Binds and starts the thread. Raises BusError with one sentence."""
        door = Door(self._settings, "endpoint", zmq.XPUB, MAX_SUBSCRIPTION_BYTES)
        door.socket.set(zmq.SNDHWM, self._settings.high_water_mark)
        door.socket.set(zmq.XPUB_VERBOSE, 1)  # tells of every subscriber, not of the first alone
        door.open()
        self._door = door
        self._thread.start()

    def publish(self, message: M, timestamp_ns: int, wall_ns: int, jpeg: bytes | None = None) -> M:
        """Never waits; callable from any thread. The times are those of the exposure.

        Returns the message with its header, as it will be sent.
        """
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
                self._moved_ns = time.monotonic_ns()
            if len(self._queue) >= QUEUE_LENGTH:
                self._latest.note(self._queue.popleft()[0])  # lost, and yet true
                self.dropped += 1
            message = msgspec.structs.replace(message, header=header)
            self._queue.append((message, jpeg))
        if self._door is not None:
            self._door.wake()
        return message

    @property
    def published(self) -> int:
        """Messages given to `publish` so far."""
        return self._sequence

    def behind_s(self) -> float:
        """For how long messages have waited and none was sent; 0 where none waits."""
        return (time.monotonic_ns() - self._moved_ns) / NS_PER_S if self._queue else 0.0

    def stop(self) -> None:
        """Sends what is queued, waits `linger_ms` at most for subscribers, and unbinds."""
        self._stopping = True
        if self._door is None:
            return
        self._door.wake()
        self._thread.join(self._settings.linger_ms / 1000 + 5)
        self._door.close()
        self._door = None

    def _run(self) -> None:
        assert self._door is not None
        try:
            while not self._stopping:
                if self._door.wait(self._patience_ms()):
                    self._hear(self._door.socket)
                if not self._door.settling:
                    self._send_queued(self._door.socket)
                    self._repeat(self._door.socket)
            self._send_queued(self._door.socket)
        except BaseException as error:  # whatever ends this thread must end the daemon
            log.exception("publisher ended")
            self.error = error

    def _patience_ms(self) -> int:
        assert self._door is not None
        return round(REPEAT_EVERY_S * 1000) if self._joined or self._door.settling else IDLE_MS

    def _send_queued(self, socket: zmq.Socket[bytes]) -> None:
        while (entry := self._next()) is not None:
            socket.send_multipart(encode(*entry))

    def _next(self) -> tuple[AnyMessage, bytes | None] | None:
        """The oldest message; None where there is none."""
        with self._lock:
            if not self._queue:
                return None
            entry = self._queue.popleft()
            self._moved_ns = time.monotonic_ns()
            self._latest.note(entry[0])
            return entry

    def _hear(self, socket: zmq.Socket[bytes]) -> None:
        """Notes who subscribed to what; a subscription is a 1 before its topic."""
        for _ in range(MAX_SUBSCRIPTIONS):
            try:
                heard = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if heard[:1] == b"\x01":
                self._joined.add(heard[1:])
        if len(self._joined) > MAX_SUBSCRIPTIONS:
            self._joined = {b""}

    def _repeat(self, socket: zmq.Socket[bytes]) -> None:
        if not self._joined or time.monotonic() < self._repeat_due_s:
            return
        self._repeat_due_s = time.monotonic() + REPEAT_EVERY_S
        with self._lock:
            repeats = self._latest.repeats(self._joined)
        self._joined.clear()
        for message in repeats:
            socket.send_multipart(encode(message))
