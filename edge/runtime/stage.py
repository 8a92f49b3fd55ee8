"""Measures how long a thread has been at one piece of work, so that a stall is noticed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from edge.runtime.times import NS_PER_S


class Stage:
    """The work of one thread. Other threads may read how long it takes."""

    def __init__(self) -> None:
        self._since_ns = 0  # 0: idle

    @contextmanager
    def work(self) -> Iterator[None]:
        """A context for one piece of work."""
        self._since_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self._since_ns = 0

    def busy_s(self) -> float:
        """How long the present piece of work has taken so far; 0 when idle."""
        since_ns = self._since_ns  # read once: the working thread may clear it
        return (time.monotonic_ns() - since_ns) / NS_PER_S if since_ns else 0.0
