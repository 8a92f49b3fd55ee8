"""CPU time by stage, with nested stages counted once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CpuClock:
    """Adds up CPU time by the name of a stage. The time of a nested stage counts for it alone.

    now: reads the quantity that is added up; by default the thread's CPU time in nanoseconds.
    """

    def __init__(self, now: Callable[[], int] = time.thread_time_ns) -> None:
        self.spent: Counter[str] = Counter()
        self._now = now
        self._inner = [0]

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Counts the work inside `with` for `name`, as `edge.vision.clock.StageClock` requires."""
        self._inner.append(0)
        start = self._now()
        try:
            yield
        finally:
            taken = self._now() - start
            self.spent[name] += taken - self._inner.pop()
            self._inner[-1] += taken
