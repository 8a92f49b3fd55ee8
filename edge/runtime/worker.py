"""One thread that runs jobs in order, with a bound on what waits for it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from edge.errors import CaptureError
from edge.runtime.stage import Stage

NICE = 10  # captures have their queues; what is analysed now triggers the next

Job = Callable[[], None]


class Worker:
    """Bounded by weight: frames count 1 each, or bytes, as the owner says.

    The weight of a job counts until it has run. Where it doesn't fit, `submit` refuses it (the
    newest is dropped and the owner counts it) or waits. A job that raises ends the thread, and the
    exception comes out of the next `submit` or of `stop`, in the thread that owns the worker.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self._capacity = capacity
        self._jobs: deque[tuple[Job, int]] = deque()
        self._weight = 0
        self._stopping = False
        self._failure: BaseException | None = None
        self._job = Stage()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    @property
    def error(self) -> BaseException | None:
        """What ended the thread."""
        return self._failure

    def busy_s(self) -> float:
        """How long the present job has taken so far; 0 when idle."""
        return self._job.busy_s()

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job, weight: int = 0, *, wait: bool = False) -> bool:
        """False where the job was refused. Weight 0 always fits; so does anything when idle."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._fits(weight) or self._is_over())
            if self._failure is not None:
                raise self._failure
            if self._stopping or not self._fits(weight):
                return False
            self._jobs.append((job, weight))
            self._weight += weight
            self._changed.notify_all()
            return True

    def stop(self, timeout_s: float) -> None:
        """Runs what waits, then ends. Raises CaptureError where that takes too long."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise CaptureError(
                f"the thread '{self._thread.name}' did not end within {timeout_s:.1f} s: "
                "the disk is too slow, and what it was writing stays unfinished"
            )
        if self._failure is not None:
            raise self._failure

    def _fits(self, weight: int) -> bool:
        return not weight or not self._weight or self._weight + weight <= self._capacity

    def _is_over(self) -> bool:
        return self._stopping or self._failure is not None

    def _run(self) -> None:
        _give_way()
        try:
            while (taken := self._take()) is not None:
                job, weight = taken
                with self._job.work():
                    job()
                del job, taken  # a frame's buffer goes back to the camera now, not one job later
                with self._changed:
                    self._weight -= weight
                    self._changed.notify_all()
        except BaseException as error:  # comes out in the owner's thread
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self) -> tuple[Job, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._stopping)
            return self._jobs.popleft() if self._jobs else None


def _give_way() -> None:
    """Lets this thread, and those that its codecs start, yield to analysis and publisher."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            own = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, own + NICE)
