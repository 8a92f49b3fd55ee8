"""Runs the actions of signals in a thread of their own.

A signal handler in Python interrupts whatever the main thread is doing, and may need a lock that
the main thread holds. Here the handler does nothing: the interpreter writes the signal's number to
a socket, and a thread reads the number there and runs the action.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from edge.runtime.service_thread import ServiceThread, StuckThreadError

STOP_S = 1.0  # longest wait for an action, such as a reload, when the program ends

log = logging.getLogger(__name__)


class Signals:
    """Calls an action for each signal while entered; only the main thread may enter, once.

    Actions run one after the other. One that raises is logged and the thread goes on: a reload
    that fails must not prevent the stop that comes later.
    """

    def __init__(self, actions: Mapping[signal.Signals, Callable[[], object]]) -> None:
        self._actions = {int(number): action for number, action in actions.items()}
        self._handlers_before: dict[int, Any] = {}
        self._fd_before = -1
        self._numbers, self._wakeup = socket.socketpair()
        self._thread = ServiceThread("signals", self._listen, wake=self._wakeup.close)

    def __enter__(self) -> Self:
        self._wakeup.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._handlers_before = {
            number: signal.signal(number, _do_nothing) for number in self._actions
        }
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        try:
            self._thread.stop(STOP_S)
        except StuckThreadError as error:
            log.warning("%s: the action for a signal still runs", error)
            return
        self._numbers.close()
        if self._thread.error is not None:
            log.error("the thread that handles signals failed: %r", self._thread.error)

    def _listen(self) -> None:
        while numbers := self._numbers.recv(16):  # empty once the other end is closed
            for number in numbers:
                with self._thread.work():
                    self._act(number)

    def _act(self, number: int) -> None:
        action = self._actions.get(number)
        if action is None:  # another part of the program handles this signal
            return
        try:
            action()
        except Exception:
            log.exception("the action for %s failed", signal.Signals(number).name)


@contextmanager
def until_signal() -> Iterator[Callable[[], bool]]:
    """Yields a function: whether SIGTERM or SIGINT came. For programs without threads."""
    received: list[int] = []
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.signal(number, lambda number, _frame: received.append(number))
            stack.callback(signal.signal, number, before)
        yield lambda: bool(received)


def _do_nothing(_number: int, _frame: object) -> None:
    """Keeps the signal from ending the process; the thread runs the action."""
