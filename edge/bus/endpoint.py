"""Binds sockets: each the only one at its address, and restricted to allowed clients.

`ipc://` is open to the owner and the group of its file. `tcp://` requires CURVE keys, unless the
configuration sets `bus.insecure`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final, Literal

import zmq

from edge.bus.gate import IPC_MODE, Gate, closed_name
from edge.bus.keys import Authenticator, Socket
from edge.config.schema import BusSettings
from edge.errors import BusError
from edge.runtime.files import open_lock

IPC: Final = "ipc://"
IPC_PATH_BYTES: Final = 107  # Linux: sun_path has 108 with the terminating zero
CHECK_S: Final = 1.0  # longest time until a revoked key or a deleted socket file is noticed
SETTLE_S: Final = 0.5  # after binding again; clients reconnect within 0.2 s (ZMQ_RECONNECT_IVL)
UNBIND_MS: Final = 1_000  # ZeroMQ closes a listener asynchronously, usually within a few ms
HANDSHAKE_MS: Final = 5_000  # in place of ZeroMQ's 30 s, so that silent connections end soon
# A peer counts as lost after 25 s, instead of Linux's default of more than 2 hours.
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_PROBE_S, KEEP_ALIVE_PROBES = 10, 5, 3


log = logging.getLogger(__name__)
Report = Callable[[str], object]


class WakeUp:
    """A file descriptor to poll that any thread can make readable."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()

    def set(self) -> None:
        """Does nothing once closed."""
        with self._lock:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        os.eventfd_read(self.fd)

    def close(self) -> None:
        with self._lock:
            os.close(self.fd)
            self.fd = -1


class BoundSocket:
    """Owns one bound socket and its context. One thread uses it; any thread may `wake` it."""

    def __init__(
        self,
        settings: BusSettings,
        key: Literal["endpoint", "control"],
        kind: int,
        max_bytes: int,
        report: Report = log.warning,
    ) -> None:
        """Makes the socket without binding it, so that its options can be set first.

        key: the setting of the address. kind: a ZeroMQ socket type, for instance zmq.XPUB.
        max_bytes: a peer that sends a larger part is disconnected. report: receives a sentence
        for each problem.
        """
        self._key = f"bus.{key}"
        self._endpoint = control_endpoint(settings) if key == "control" else settings.endpoint
        self._settings = settings
        self._report = report
        self._file: SocketFile | None = None
        self._authenticator: Authenticator | None = None
        self._wake_up = WakeUp()
        self._poller = zmq.Poller()
        self._check_s = self._settled_s = 0.0
        self._closing = ExitStack()
        context = zmq.Context()
        self.socket: Socket = context.socket(kind)
        self._closing.callback(self._wake_up.close)
        self._closing.callback(context.term)
        self._closing.callback(self.socket.close)
        self.socket.set(zmq.MAXMSGSIZE, max_bytes)
        self.socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.socket.set(zmq.LINGER, settings.linger_ms)
        keep_alive(self.socket)

    def open(self) -> None:
        """Binds. On failure, closes everything and raises BusError."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def wait(self, timeout_ms: int) -> bool:
        """Waits for a message, `wake` or the timeout; true if there is a message."""
        timeout_ms = min(timeout_ms, round(CHECK_S * 1000))
        ready = dict(self._poller.poll(timeout_ms))
        if self._wake_up.fd in ready:
            self._wake_up.clear()
        if self._authenticator is not None and self._authenticator.socket in ready:
            self._authenticator.answer()
        if time.monotonic() >= self._check_s:
            self._check_s = time.monotonic() + CHECK_S
            self._check()
        return self.socket in ready

    def wake(self) -> None:
        """Ends the present or the next `wait`; callable from any thread and after `close`."""
        self._wake_up.set()

    @property
    def settling(self) -> bool:
        """Whether it was just bound again, so that reconnecting clients would miss messages."""
        return time.monotonic() < self._settled_s

    def allows(self, user_id: str) -> bool:
        """Whether the key that a peer connected with is still allowed."""
        return self._authenticator is None or self._authenticator.allows(user_id.encode())

    @property
    def closed(self) -> bool:
        return bool(self.socket.closed)

    def close(self) -> None:
        """Waits up to `linger_ms` for messages that are being sent.

        Call it in the socket's thread, or after that thread has ended.
        """
        if self.closed:
            return
        self._closing.close()
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        endpoint = self._endpoint
        if endpoint.startswith(IPC):
            self._file = SocketFile(self._key, Path(endpoint.removeprefix(IPC)))
        elif endpoint.startswith("tcp://") and self._settings.keys:
            self._authenticator = Authenticator(self.socket.context, Path(self._settings.keys))
            self._closing.callback(self._authenticator.close)
            self._authenticator.protect(self.socket)
            self._poller.register(self._authenticator.socket, zmq.POLLIN)
        elif endpoint.startswith("tcp://") and not self._settings.insecure:
            raise BusError(
                f"{self._key} {endpoint}: TCP is open to everybody who can reach it; set bus.keys, "
                "set bus.insecure = true to allow that, or use ipc://"
            )
        self._poller.register(self.socket, zmq.POLLIN)
        self._poller.register(self._wake_up.fd, zmq.POLLIN)
        self._closing.callback(Gate(self.socket).close)
        self._bind(endpoint)

    def _bind(self, endpoint: str) -> None:
        try:
            self.socket.bind(endpoint)
            if self._file is not None:
                self._file.bound()
        except zmq.ZMQError as error:
            raise BusError(self._problem(error)) from error
        except OSError as error:
            raise BusError(
                f"{self._key} {endpoint}: {error.strerror}; another program deleted the socket"
            ) from error

    def _problem(self, error: zmq.ZMQError) -> str:
        if error.errno == zmq.EADDRINUSE:
            return f"{self._key} {self._endpoint}: in use by another program; choose another one"
        return f"{self._key} {self._endpoint}: can't be bound: {error.strerror or error}"

    def _check(self) -> None:
        if self._authenticator is not None and self._authenticator.any_revoked():
            self._authenticator.admitted.clear()
            self._bind_again(self.socket.get_string(zmq.LAST_ENDPOINT))
        if self._file is not None and not self._file.exists():
            self._report(
                f"{self._key} {self._endpoint}: its socket file was deleted or replaced; the "
                "daemon makes it again. Let no program clean up that folder"
            )
            try:
                self._bind_again(self._endpoint)
            except BusError as error:  # the folder is gone too: the next check tries again
                self._report(str(error))

    def _bind_again(self, endpoint: str) -> None:
        """Disconnects all peers, as ZeroMQ can't disconnect one; allowed ones connect again.

        Retries, since ZeroMQ closes the old listener some time after `unbind`.
        """
        with suppress(zmq.ZMQError):  # an earlier attempt has unbound it
            self.socket.unbind(endpoint)
        self._settled_s = time.monotonic() + SETTLE_S
        for _ in range(UNBIND_MS // 10):
            try:
                self._bind(endpoint)
            except BusError:
                time.sleep(0.01)
            else:
                return
        self._bind(endpoint)


class SocketFile:
    """The file of a local socket, with a lock that keeps other daemons from its path."""

    def __init__(self, key: str, path: Path) -> None:
        """Locks the path before the socket is bound. Raises BusError."""
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._lock = _lock(key, path, self._lock_path)
        self._inode = 0
        with suppress(OSError):  # left by a daemon that was killed while its door was closed
            closed_name(path).unlink()

    def bound(self) -> None:
        """Opens it to owner and group, and notes which file it is. Raises OSError."""
        self._path.chmod(IPC_MODE)
        self._inode = self._path.stat().st_ino

    def close(self) -> None:
        """Removes both files and releases the lock. Call it after the socket is closed.

        ZeroMQ leaves the file of a socket. A file that another program put there stays.
        """
        with suppress(OSError):  # the folder is read-only: the next start uses the files again
            if self._is_at(self._path):
                self._path.unlink()
            self._lock_path.unlink()
        self._lock.close()

    def exists(self) -> bool:
        """Whether it is still the same file; true if that can't be found out.

        The gate renames it to and fro; of three looks, one finds it.
        """
        return any(map(self._is_at, (self._path, closed_name(self._path), self._path)))

    def _is_at(self, path: Path) -> bool:
        try:
            return path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False
        except OSError:
            return True


def control_endpoint(settings: BusSettings) -> str:
    """The address for commands; empty if the daemon takes none."""
    if settings.control == "auto":
        return f"{settings.endpoint}-control" if settings.endpoint.startswith(IPC) else ""
    return "" if settings.control == "none" else settings.control


def keep_alive(socket: Socket) -> None:
    """Lets TCP notice a peer that vanished; both sides call it.

    ZeroMQ's heartbeats are not used: they disconnect a subscriber with a full high-water mark, and
    abort its process when it reads again (libzmq issue 3937).
    """
    socket.set(zmq.TCP_KEEPALIVE, 1)
    socket.set(zmq.TCP_KEEPALIVE_IDLE, KEEP_ALIVE_IDLE_S)
    socket.set(zmq.TCP_KEEPALIVE_INTVL, KEEP_ALIVE_PROBE_S)
    socket.set(zmq.TCP_KEEPALIVE_CNT, KEEP_ALIVE_PROBES)


def _lock(key: str, path: Path, lock_path: Path) -> IO[bytes]:
    """Locks a file beside the socket, since ZeroMQ would silently take over a path in use."""
    if str(path).startswith(("@", "*")):
        raise BusError(f"{key} ipc://{path}: a path is needed, which has permissions")
    if len(str(path).encode()) > IPC_PATH_BYTES:
        raise BusError(
            f"{key} ipc://{path}: the path of a socket has at most {IPC_PATH_BYTES} bytes"
        )
    try:
        return open_lock(lock_path)
    except BlockingIOError as error:
        raise BusError(
            f"{key} ipc://{path}: another daemon uses this address; stop it or choose another "
            "endpoint"
        ) from error
    except OSError as error:
        raise BusError(
            f"{key} ipc://{path}: can't write {lock_path.name} in {path.parent}: {error.strerror}"
        ) from error
