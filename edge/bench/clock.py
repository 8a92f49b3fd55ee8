"""CPU time by stage, with nested stages counted once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable


class CpuClock:
    """Adds up CPU time by the name of a stage. The time of a nested stage counts for it alone.

    Called with a name and entered, as `edge.vision.clock.StageClock` requires, it counts the work
    inside `with` for that name. now: reads the quantity that is added up; by default the thread's
    CPU time in nanoseconds.
    """

    def __init__(self, now: Callable[[], int] = time.thread_time_ns) -> None:
        self.spent: Counter[str] = Counter()
        self._now = now
        self._names: list[str] = []
        self._since = 0

    def __call__(self, name: str) -> CpuClock:
        self._turn()
        self._names.append(name)
        return self

    def __enter__(self) -> None:
        """The work began with the call."""

    def __exit__(self, *_: object) -> None:
        self._turn()
        self._names.pop()

    def _turn(self) -> None:
        """Counts the time since the last turn for the innermost stage."""
        now = self._now()
        if self._names:
            self.spent[self._names[-1]] += now - self._since
        self._since = now
