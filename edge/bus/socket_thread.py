"""Joins a bound socket to the one thread that uses it, since ZeroMQ sockets are not thread-safe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from edge.bus.endpoint import BoundSocket
from edge.runtime.service_thread import ServiceThread


class SocketThread:
    """Runs `serve` in a thread, and closes the socket only after that thread has ended."""

    def __init__(
        self, name: str, bound: BoundSocket, serve: Callable[[SocketThread], None]
    ) -> None:
        """Starts the thread. bound: already open. serve: returns soon once `stopping` is true."""
        self.bound = bound
        self._thread = ServiceThread(name, lambda: serve(self), bound.wake)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether the thread should end."""
        return self._thread.stopping

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread early."""
        return self._thread.error

    def work(self) -> AbstractContextManager[None]:
        """A context for each piece of work in `serve`, so that `busy_s` can measure it."""
        return self._thread.work()

    def busy_s(self) -> float:
        """How long the present piece of work has taken so far; 0 when idle."""
        return self._thread.busy_s()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread, then closes the socket.

        Raises StuckThreadError if the thread does not end. The socket stays open then: a ZeroMQ
        socket must not be closed by one thread while another uses it.
        """
        self._thread.stop(timeout_s)
        self.bound.close()
