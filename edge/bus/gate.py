"""Bounds the connections to one bound socket, so that a flood can't use up the daemon's files.

ZeroMQ accepts every connection. Its monitor reports each with its descriptor, and a thread here
shuts down those beyond the limit; ZeroMQ then closes them as it does with any lost connection.
ZeroMQ accepts faster than this thread can follow, so the kernel refuses newcomers for a moment
after each refusal, and while the process can hardly open another file: ZeroMQ ends the process if
it can't accept a local connection for lack of one (`ipc_listener.cpp` of libzmq 4.3.5).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import logging
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from edge.runtime import open_files
from edge.runtime.service_thread import ServiceThread

if TYPE_CHECKING:
    from edge.bus.keys import Socket

MAX_CONNECTIONS: Final = 128  # to one socket: dozens of programs, each with several connections
SHARE: Final = 8  # of the process's files: each of two sockets has at most an eighth
ENOUGH_FILES: Final = 2048  # floods that this thread follows late used up to 814 on busy machines
RESERVE: Final = 32  # files that connections leave to captures; an eighth of a low limit
PER_PEER: Final = 2  # one address (TCP) or process (ipc) has at most half of the connections
EVENTS: Final = zmq.EVENT_LISTENING | zmq.EVENT_ACCEPTED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
POLL_MS: Final = 1000  # how often connections are counted again; see `_forget_closed`
PAUSE_S: Final = 0.25  # without newcomers; a refused client tries again after 0.1 s or more
BACKLOG: Final = 32  # connections that ZeroMQ still accepts after a pause begins
LOG_EVERY_S: Final = 60.0  # a flood refuses thousands of connections in a second
STOP_S: Final = 2.0
IPC_MODE: Final = 0o660
CLOSED: Final = ".closed"  # added to the name of a local socket while the door is closed
# socket(7) and linux/filter.h: a filter of one instruction, `return 0`, drops each packet that
# arrives at the listening socket. Connections that were accepted have no filter.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP_ALL: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
PEER_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Gate:
    """Refuses connections beyond `most`, or beyond half of that from one peer.

    Present connections are never ended: a newcomer is refused. Connections that don't finish their
    handshake end after `HANDSHAKE_MS`, so that their places become free.

    refused: number of connections refused so far.
    """

    def __init__(self, bound: Socket, most: int | None = None) -> None:
        """Call it before the socket is bound, in its thread. most: default: by the file limit."""
        self.most = most or max(4, min(MAX_CONNECTIONS, open_files.limit() // SHARE))
        self.refused = 0
        self._bound = bound
        self._open: dict[int, str] = {}
        self._door = Door()
        self._log_due_s = 0.0
        address = f"inproc://gate-{next(_numbers)}"
        bound.monitor(address, EVENTS)
        bound.set(zmq.BACKLOG, BACKLOG)
        self._events: Socket = bound.context.socket(zmq.PAIR)
        self._events.set(zmq.LINGER, 0)
        self._events.set(zmq.RCVHWM, 0)  # a full queue would block ZeroMQ's thread for good
        self._events.connect(address)
        if open_files.limit() < ENOUGH_FILES:
            self._warn(
                f"this process may open only {open_files.limit()} files, so that a flood of local "
                f"connections could end it; raise its limit (LimitNOFILE) to {ENOUGH_FILES} or more"
            )
        self._thread = ServiceThread("gate", self._run)
        self._thread.start()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._open)

    def close(self) -> None:
        """Ends the monitor and the thread. Call it in the socket's thread, before it is closed."""
        self._bound.monitor(None, 0)  # reported as MONITOR_STOPPED
        self._thread.stop(STOP_S)
        self._door.open()  # so that the file has its own name when it is removed
        self._events.close()

    def _run(self) -> None:
        while not self._thread.stopping:
            self._door.open_if_due()
            try:
                event = parse_monitor_message(self._events.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                self._keep_reserve()
                if not self._events.poll(POLL_MS if self._door.is_open else round(PAUSE_S * 1000)):
                    self._forget_closed()
                continue
            if event["event"] == zmq.EVENT_MONITOR_STOPPED:
                return
            self._note(int(event["event"]), int(event["value"]))

    def _note(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._accepted(descriptor)
        elif event == zmq.EVENT_LISTENING:
            self._door = Door(descriptor)
        else:
            self._open.pop(descriptor, None)

    def _accepted(self, descriptor: int) -> None:
        peer = _peer(descriptor)
        if peer is None:
            return  # closed already
        self._open.pop(descriptor, None)  # its number was used before
        if len(self._open) < self.most and self._count(peer) < self.most // PER_PEER:
            self._open[descriptor] = peer
            self._keep_reserve()
            return
        self._door.close()
        _shut_down(descriptor)
        self.refused += 1
        self._warn(
            f"refused a connection from {peer} ({self.refused} so far): at most {self.most} are "
            "allowed, and half of them from one address or process"
        )

    def _keep_reserve(self) -> None:
        """Lets nobody in while few files can be opened, whatever opened the others."""
        limit, free = open_files.limit(), open_files.free()
        if free < min(RESERVE, limit // SHARE):
            self._door.close()
            self._warn(
                f"no further connections now: of {limit} files that this process may open, "
                f"{max(free, 0)} are free; raise its limit (LimitNOFILE)"
            )

    def _warn(self, sentence: str) -> None:
        if time.monotonic() >= self._log_due_s:
            self._log_due_s = time.monotonic() + LOG_EVERY_S
            log.warning("%s", sentence)

    def _count(self, peer: str) -> int:
        return Counter(self._open.values())[peer]

    def _forget_closed(self) -> None:
        """`unbind` closes connections without an event. Another file may have their number now."""
        for descriptor, peer in list(self._open.items()):
            if _peer(descriptor) != peer:
                del self._open[descriptor]


class Door:
    """The listening socket of ZeroMQ. While closed, TCP connections wait and local ones fail.

    A closed local socket has another name, as permissions do not keep root out.
    """

    def __init__(self, descriptor: int = -1) -> None:
        self._descriptor = descriptor
        self._open_due_s = 0.0
        self.is_open = True

    def close(self) -> None:
        """Keeps newcomers out for `PAUSE_S` from now."""
        self._open_due_s = time.monotonic() + PAUSE_S
        if self.is_open:
            self.is_open = False
            self._set()

    def open_if_due(self) -> None:
        if time.monotonic() >= self._open_due_s:
            self.open()

    def open(self) -> None:
        if not self.is_open:
            self.is_open = True
            self._set()

    def _set(self) -> None:
        with contextlib.suppress(OSError), _borrowed(self._descriptor) as listening:
            if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return  # closed by `unbind`; another socket has its number
            if listening.family == socket.AF_UNIX:
                _name(Path(listening.getsockname()), is_open=self.is_open)
            elif self.is_open:
                listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            else:
                program = ctypes.create_string_buffer(DROP_ALL)
                address = ctypes.addressof(program)
                filter_ = struct.pack("HP", 1, address)
                listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)


def closed_name(path: Path) -> Path:
    """The name of a local socket while its door is closed."""
    return path.with_name(path.name + CLOSED)


def _name(path: Path, *, is_open: bool) -> None:
    """Shows or hides a local socket. Raises OSError, also for one that was deleted meanwhile."""
    closed = closed_name(path)
    if is_open:
        closed.chmod(IPC_MODE)
        closed.rename(path)
    else:
        path.chmod(0)
        path.rename(closed)


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """The socket with a descriptor that ZeroMQ owns. Raises OSError if it isn't a socket."""
    borrowed = socket.socket(fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def _peer(descriptor: int) -> str | None:
    """Address of a TCP peer or process of a local one; None if it isn't a connected socket."""
    try:
        with _borrowed(descriptor) as connection:
            if connection.family != socket.AF_UNIX:
                return str(connection.getpeername()[0])
            size = PEER_CREDENTIALS.size
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return f"process {PEER_CREDENTIALS.unpack(found)[0]}"
    except (OSError, ValueError, IndexError, struct.error):
        return None


def _shut_down(descriptor: int) -> None:
    """ZeroMQ reads the end of the stream next, and closes the connection."""
    with contextlib.suppress(OSError), _borrowed(descriptor) as connection:
        connection.shutdown(socket.SHUT_RDWR)
