"""CPU time by stage: what each call spent, less what it called on in other stages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any


class StageClock:
    """Adds up the thread's CPU time by name; calls may nest, and each keeps its own share.

    now: what is added up; the CPU time of the calling thread in nanoseconds if not given.
    """

    def __init__(self, now: Callable[[], int] = time.thread_time_ns) -> None:
        self.spent: Counter[str] = Counter()
        self._now = now
        self._inner = [0]

    def time(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        """Calls `function` on the account of `name`."""
        self._inner.append(0)
        start = self._now()
        try:
            return function(*args, **named)
        finally:
            taken = self._now() - start
            self.spent[name] += taken - self._inner.pop()
            self._inner[-1] += taken

    def timed(self, name: str, stage: Any) -> Any:
        """A stand-in for a stage, whose calls are timed."""
        return _Timed(name, stage, self)


class _Timed:
    def __init__(self, name: str, stage: Any, clock: StageClock) -> None:
        self._name, self._stage, self._clock = name, stage, clock

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._clock.time(self._name, self._stage, *args, **named)

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._stage, attribute)
        if not callable(value):
            return value
        return lambda *args, **named: self._clock.time(self._name, value, *args, **named)
