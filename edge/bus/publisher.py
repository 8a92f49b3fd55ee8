"""The publisher: one thread owns the socket, and nobody ever waits for it.

`publish` puts a message on a bounded queue and returns. Sequence numbers are given there, so that
what the queue had to drop is a gap that every subscriber sees. A slow subscriber fills its own
high-water mark and loses its own messages.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import zmq

from edge.errors import BusError
from edge.frame import NS_PER_S
from edge.messages import AnyMessage, Header, encode, topic_of
from edge.settings import BusSettings

QUEUE_LENGTH = 1000
IPC_PATH_BYTES = 107  # sun_path of a Unix socket

log = logging.getLogger(__name__)


class Publisher:
    """PUB socket behind a queue that drops its oldest and counts them in `dropped`."""

    def __init__(self, settings: BusSettings, camera: str, boot_id: str) -> None:
        self._settings = settings
        self._camera = camera
        self._boot_id = boot_id
        self._queue: deque[tuple[AnyMessage, bytes | None]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._sequence = 0
        self._topic_sequences: Counter[str] = Counter()
        self._lock_file: IO[bytes] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.dropped = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Binds and starts the thread. Raises BusError with one sentence."""
        endpoint = self._settings.endpoint
        if endpoint.startswith("tcp://") and not self._settings.insecure:
            raise BusError(
                f"bus.endpoint {endpoint}: TCP is open to everybody who can reach it; say "
                "bus.insecure = true to allow that, or use ipc://"
            )
        if endpoint.startswith("ipc://"):
            self._lock_file = _lock(Path(endpoint.removeprefix("ipc://")))
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, self._settings.high_water_mark)
        self._socket.set(zmq.LINGER, self._settings.linger_ms)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._close()
            raise BusError(_bind_problem(endpoint, error)) from error
        self._thread.start()

    def publish(
        self, message: AnyMessage, timestamp_ns: int, wall_ns: int, jpeg: bytes | None = None
    ) -> None:
        """Never waits; callable from any thread. The times are those of the exposure."""
        topic = topic_of(message, self._camera)
        wall_time = datetime.fromtimestamp(wall_ns / NS_PER_S, UTC)
        with self._changed:
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
            if len(self._queue) >= QUEUE_LENGTH:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append((_with_header(message, header), jpeg))
            self._changed.notify()

    @property
    def published(self) -> int:
        """Messages given to `publish` so far."""
        return self._sequence

    def stop(self) -> None:
        """Sends what is queued, waits `linger_ms` at most for subscribers, and unbinds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(self._settings.linger_ms / 1000 + 5)
        self._close()

    def _run(self) -> None:
        assert self._socket is not None
        try:
            while (entry := self._next()) is not None:
                self._socket.send_multipart(encode(*entry))
        except BaseException as error:  # whatever ends this thread must end the daemon
            log.exception("publisher ended")
            self.error = error

    def _next(self) -> tuple[AnyMessage, bytes | None] | None:
        """The oldest message; None once stopping and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            return self._queue.popleft() if self._queue else None

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._context.term()  # waits for subscribers, `linger_ms` at most
            self._socket = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None


def _with_header(message: AnyMessage, header: Header) -> AnyMessage:
    return msgspec.structs.replace(message, header=header)


def _lock(path: Path) -> IO[bytes]:
    """ZeroMQ silently takes an ipc path from whoever has it: a lock beside it forbids that."""
    if len(str(path).encode()) > IPC_PATH_BYTES:
        raise BusError(
            f"bus.endpoint ipc://{path}: a socket's path has {IPC_PATH_BYTES} bytes at most"
        )
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock_file = lock_path.open("wb")
    except OSError as error:
        raise BusError(
            f"bus.endpoint ipc://{path}: can't write {lock_path.name} in {path.parent}: "
            f"{error.strerror}"
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock_file.close()
        raise BusError(
            f"bus.endpoint ipc://{path}: another daemon publishes there; stop it or choose another "
            "endpoint"
        ) from error
    return lock_file


def _bind_problem(endpoint: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"bus.endpoint {endpoint}: in use by another program; choose another endpoint"
    return f"bus.endpoint {endpoint}: can't be bound: {error.strerror or error}"
