"""Signals as calls in a thread of their own.

A handler in Python runs in the middle of whatever the main thread was doing, and may find a lock
taken that only the main thread can give back. Here the handler does nothing: the interpreter writes
the signal's number to a socket, and a thread reads it there and acts.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)


class Signals:
    """Calls an action for each signal while entered; only the main thread may enter.

    The actions run one after the other. One that raises is logged, and listening goes on: a reload
    that fails must not cost the stop that comes later.
    """

    def __init__(self, actions: Mapping[signal.Signals, Callable[[], object]]) -> None:
        self._actions = actions
        self._before: dict[signal.Signals, Any] = {}
        self._fd_before = -1
        self._heard, self._written = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)

    def __enter__(self) -> Self:
        self._written.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _pass) for number in self._actions}
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._written.close()
        self._thread.join(1)
        if not self._thread.is_alive():
            self._heard.close()

    def _listen(self) -> None:
        while numbers := self._heard.recv(16):
            for number in numbers:
                self._act(signal.Signals(number))

    def _act(self, number: signal.Signals) -> None:
        try:
            self._actions.get(number, _nothing)()
        except Exception:
            log.exception("what %s asks for failed", number.name)


@contextmanager
def until_signal() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether SIGTERM or SIGINT came, for programs without threads."""
    came = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: came.append(1)) for number in numbers]
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _nothing() -> None:
    """A signal that somebody else handles."""


def _pass(_number: int, _frame: object) -> None:
    """A signal with a handler doesn't kill; what is to be done is done by the thread."""
