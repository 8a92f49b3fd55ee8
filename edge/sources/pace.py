"""The times at which the frames of a recording are due."""

from __future__ import annotations

import threading
import time

from edge.runtime.times import NS_PER_S


class Pace:
    """Turns times in a recording into times of the clock, counted from the start of play.

    fast: gives the same times without waiting for them.
    """

    def __init__(self, *, fast: bool) -> None:
        self._fast = fast
        self._stopped = threading.Event()
        self._start_ns = 0
        self._wall_start_ns = 0

    def start(self) -> None:
        """Play begins now."""
        self._stopped.clear()
        self._start_ns, self._wall_start_ns = time.monotonic_ns(), time.time_ns()

    def wait(self, offset_ns: int) -> tuple[int, int]:
        """Waits until a frame is due; returns its (monotonic, wall) times in nanoseconds."""
        due_ns = self._start_ns + offset_ns
        if not self._fast:
            self._stopped.wait(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)
        return due_ns, self._wall_start_ns + offset_ns

    def stop(self) -> None:
        """Ends a wait at once; callable from another thread."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()
