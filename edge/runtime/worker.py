"""A thread that runs jobs in order from a bounded queue."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from edge.runtime.service_thread import ServiceThread

# Niceness above that of the process, half of the range up to setpriority(2)'s maximum of 19: queued
# work can wait, the analysis of the present frame can't.
NICE = 10

Job = Callable[[], object]


class Worker(ServiceThread):
    """Runs jobs with a low priority. The queue is bounded by weight: frames, or bytes.

    The weight of a job counts until it has run. A job that does not fit is refused, and its owner
    counts it, or `submit` waits for room. A job that raises ends the thread; the next `submit` or
    `stop` raises its exception.
    """

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(name, self._run_jobs)
        self._capacity = capacity
        self._jobs: deque[tuple[Job, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Number of jobs in the queue, without the one that is running."""
        return len(self._jobs)

    def submit(self, job: Job, weight: int = 0, *, wait: bool = False) -> bool:
        """Returns False for a refused job. Raises the exception of an earlier job.

        weight: 0 always fits, and any weight fits an empty queue.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._fits(weight) or self._is_over())
            self.raise_error()
            if self.stopping or not self._fits(weight):
                return False
            self._jobs.append((job, weight))
            self._weight += weight
            self._changed.notify_all()
            return True

    def request_stop(self) -> None:
        super().request_stop()
        self._notify()

    def stop(self, timeout_s: float) -> None:
        """Runs the jobs in the queue, then ends the thread.

        Raises StuckThreadError if that takes too long, or the exception of a job.
        """
        super().stop(timeout_s)
        self.raise_error()

    def _fits(self, weight: int) -> bool:
        return not weight or not self._weight or self._weight + weight <= self._capacity

    def _is_over(self) -> bool:
        return self.stopping or self.error is not None

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run_jobs(self) -> None:
        _lower_priority()
        try:
            while (taken := self._take()) is not None:
                job, weight = taken
                with self.work():
                    job()
                del job, taken  # a frame's buffer goes back to the camera now, not one job later
                with self._changed:
                    self._weight -= weight
                    self._changed.notify_all()
        except BaseException as error:
            self.error = error  # set before the threads that wait for room check it
            self._notify()
            raise

    def _take(self) -> tuple[Job, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self.stopping)
            return self._jobs.popleft() if self._jobs else None


def _lower_priority() -> None:
    """Lowers the priority of this thread and of the threads that its codecs start."""
    if sys.platform == "linux":  # other systems would lower the whole process
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            niceness = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, niceness + NICE)
