"""A socket that the daemon binds: alone on its address, and open to whom it should be.

`ipc://` is open to the owner and the group of its file. `tcp://` is behind CURVE, unless the
configuration says that it may be insecure.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import IO, Literal

import zmq

from edge.bus.keys import Gate, Socket
from edge.config.schema import BusSettings
from edge.errors import BusError

IPC = "ipc://"
IPC_MODE = 0o660
IPC_PATH_BYTES = 107  # sun_path of a Unix socket
CHECK_KEYS_S = 1.0
SETTLE_S = 0.5  # after binding anew; clients reconnect within 0.2 s
UNBIND_MS = 1_000
HANDSHAKE_MS = 5_000
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_PROBE_S, KEEP_ALIVE_PROBES = 10, 5, 3


class Door:
    """Owns one bound socket and its context. One thread uses it; any thread may `wake` it."""

    def __init__(
        self, settings: BusSettings, key: Literal["endpoint", "control"], kind: int, max_bytes: int
    ) -> None:
        """kind: zmq.XPUB or the like. max_bytes: a peer that sends a larger part is disconnected.

        The socket isn't bound before `open`, so that options can be set in between.
        """
        self._key = f"bus.{key}"
        self._endpoint = control_endpoint(settings) if key == "control" else settings.endpoint
        self._settings = settings
        self._lock_file: IO[bytes] | None = None
        self._gate: Gate | None = None
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._poller = zmq.Poller()
        self._check_keys_s = self._settled_s = 0.0
        self._context = zmq.Context()
        self.socket: Socket = self._context.socket(kind)
        self.socket.set(zmq.MAXMSGSIZE, max_bytes)
        self.socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.socket.set(zmq.LINGER, settings.linger_ms)
        keep_alive(self.socket)

    def open(self) -> None:
        """Binds. Raises BusError with one sentence, and is closed then."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def wait(self, timeout_ms: int) -> bool:
        """Until something came in, `wake` was called or the time is up; whether something came."""
        if self._gate is not None:
            timeout_ms = min(timeout_ms, round(CHECK_KEYS_S * 1000))
        ready = dict(self._poller.poll(timeout_ms))
        if self._wake_fd in ready:
            os.eventfd_read(self._wake_fd)
        if self._gate is not None:
            if self._gate.socket in ready:
                self._gate.answer()
            self._shut_out_the_revoked(self._gate)
        return self.socket in ready

    def wake(self) -> None:
        """Ends the present or the next `wait`; callable from any thread, and once closed."""
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    @property
    def settling(self) -> bool:
        """Bound anew just now: what is sent before its clients are back, they would miss."""
        return time.monotonic() < self._settled_s

    def allows(self, user_id: str) -> bool:
        """Whether the peer that was let in as `user_id` may still be heard."""
        return self._gate is None or self._gate.allows(user_id.encode())

    def close(self) -> None:
        """Waits `linger_ms` at most for what is under way."""
        if self.socket.closed:
            return
        self.socket.close()
        if self._gate is not None:
            self._gate.close()
        self._context.term()
        with self._wake_lock:
            os.close(self._wake_fd)
            self._wake_fd = -1
        if self._lock_file is not None:
            self._lock_file.close()

    def _open(self) -> None:
        endpoint = self._endpoint
        if endpoint.startswith(IPC):
            self._lock_file = _lock(self._key, Path(endpoint.removeprefix(IPC)))
        elif endpoint.startswith("tcp://") and self._settings.keys:
            self._gate = Gate(self._context, Path(self._settings.keys))
            self._gate.guard(self.socket)
            self._poller.register(self._gate.socket, zmq.POLLIN)
        elif endpoint.startswith("tcp://") and not self._settings.insecure:
            raise BusError(
                f"{self._key} {endpoint}: TCP is open to everybody who can reach it; set bus.keys, "
                "say bus.insecure = true to allow that, or use ipc://"
            )
        self._poller.register(self.socket, zmq.POLLIN)
        self._poller.register(self._wake_fd, zmq.POLLIN)
        self._bind(endpoint)

    def _bind(self, endpoint: str) -> None:
        try:
            self.socket.bind(endpoint)
            if endpoint.startswith(IPC):
                Path(endpoint.removeprefix(IPC)).chmod(IPC_MODE)
        except zmq.ZMQError as error:
            raise BusError(self._problem(error)) from error

    def _problem(self, error: zmq.ZMQError) -> str:
        if error.errno == zmq.EADDRINUSE:
            return f"{self._key} {self._endpoint}: in use by another program; choose another one"
        return f"{self._key} {self._endpoint}: can't be bound: {error.strerror or error}"

    def _shut_out_the_revoked(self, gate: Gate) -> None:
        """ZeroMQ can't disconnect one peer: all are, and those still allowed come back."""
        now_s = time.monotonic()
        if now_s < self._check_keys_s:
            return
        self._check_keys_s = now_s + CHECK_KEYS_S
        if gate.revoked():
            bound = self.socket.get_string(zmq.LAST_ENDPOINT)
            self.socket.unbind(bound)
            gate.admitted.clear()
            self._bind_again(bound)
            self._settled_s = time.monotonic() + SETTLE_S

    def _bind_again(self, endpoint: str) -> None:
        """ZeroMQ closes the old listener some time after `unbind`."""
        for _ in range(UNBIND_MS // 10):
            try:
                self.socket.bind(endpoint)
            except zmq.ZMQError:
                time.sleep(0.01)
            else:
                return
        self._bind(endpoint)


def control_endpoint(settings: BusSettings) -> str:
    """Where commands come in; empty for nowhere."""
    if settings.control == "auto":
        return f"{settings.endpoint}-control" if settings.endpoint.startswith(IPC) else ""
    return "" if settings.control == "none" else settings.control


def keep_alive(socket: Socket) -> None:
    """A TCP peer that vanished without a word is noticed, on either side.

    Not ZeroMQ's heartbeats: they take a full high-water mark for a dead peer, and abort the process
    of a subscriber that then reads again (libzmq issue 3937).
    """
    socket.set(zmq.TCP_KEEPALIVE, 1)
    socket.set(zmq.TCP_KEEPALIVE_IDLE, KEEP_ALIVE_IDLE_S)
    socket.set(zmq.TCP_KEEPALIVE_INTVL, KEEP_ALIVE_PROBE_S)
    socket.set(zmq.TCP_KEEPALIVE_CNT, KEEP_ALIVE_PROBES)


def _lock(key: str, path: Path) -> IO[bytes]:
    """ZeroMQ silently takes an ipc path from whoever has it: a lock beside it forbids that."""
    if str(path).startswith(("@", "*")):
        raise BusError(f"{key} ipc://{path}: a path is needed, for its permissions")
    if len(str(path).encode()) > IPC_PATH_BYTES:
        raise BusError(f"{key} ipc://{path}: a socket's path has {IPC_PATH_BYTES} bytes at most")
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock_file = lock_path.open("wb")
    except OSError as error:
        raise BusError(
            f"{key} ipc://{path}: can't write {lock_path.name} in {path.parent}: {error.strerror}"
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock_file.close()
        raise BusError(
            f"{key} ipc://{path}: another daemon publishes there; stop it or choose another "
            "endpoint"
        ) from error
    return lock_file
