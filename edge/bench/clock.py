"""CPU time by stage: what each call spent, less what it called on in other stages."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any


class StageClock:
    """Adds up the thread's CPU time by name; calls may nest, and each keeps its own share."""

    def __init__(self) -> None:
        self.spent_ns: Counter[str] = Counter()
        self._inner_ns = [0]

    def time(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        """Calls `function` on the account of `name`."""
        self._inner_ns.append(0)
        start_ns = time.thread_time_ns()
        try:
            return function(*args, **named)
        finally:
            taken_ns = time.thread_time_ns() - start_ns
            self.spent_ns[name] += taken_ns - self._inner_ns.pop()
            self._inner_ns[-1] += taken_ns

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
