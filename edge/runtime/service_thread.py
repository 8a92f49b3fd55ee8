"""The base of all threads that live as long as the program: start, stop, error and progress."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from edge.errors import EdgeError, TemporaryError
from edge.runtime.stage import Stage
from edge.runtime.weak import weakly, without_frames

log = logging.getLogger(__name__)


class StuckThreadError(TemporaryError):
    """A thread did not end in time; the resources that it uses must stay open."""


class ServiceThread:
    """Runs a function in a thread until `stop`; an exception that ends it early is kept in `error`.

    The owner checks `error` and `busy_s` from another thread, and ends the program when a thread
    has failed or is stuck. `run` returns soon once `stopping` is true. It is started at most once.

    Methods of the owner are held weakly except while the thread runs, so that owner and thread are
    freed without the garbage collector. An EdgeError is kept without its traceback for the same
    reason; any other error ends the program, which shows the traceback.
    """

    def __init__(
        self, name: str, run: Callable[[], object], wake: Callable[[], object] | None = None
    ) -> None:
        """wake: ends a wait in `run`, so that it checks `stopping`; any thread may call it."""
        self.name = name
        self.error: BaseException | None = None
        self._run = weakly(run)
        self._wake = None if wake is None else weakly(wake)
        self._stop = threading.Event()
        self._stage = Stage()
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether the thread should end."""
        return self._stop.is_set()

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._thread is not None

    def start(self) -> None:
        assert self._thread is None, f"the thread {self.name} was started already"
        run, self._run = self._run, _nothing
        self._thread = threading.Thread(
            target=self._guarded, args=(run,), name=self.name, daemon=True
        )
        self._thread.start()

    def work(self) -> contextlib.AbstractContextManager[None]:
        """A context for each piece of work in `run`, so that `busy_s` can measure it."""
        return self._stage.work()

    def busy_s(self) -> float:
        """How long the present piece of work has taken so far; 0 when idle."""
        return self._stage.busy_s()

    def request_stop(self) -> None:
        """Asks the thread to end and does not wait; callable at any time and from any thread."""
        self._stop.set()
        if self._wake is not None:
            self._wake()

    def stop(self, timeout_s: float) -> None:
        """Asks the thread to end and waits for it. Raises StuckThreadError if it does not."""
        self.request_stop()
        self.join(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Waits for the end of a thread that was started. Raises StuckThreadError."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self.alive:
            raise StuckThreadError(f"the thread {self.name} did not end within {timeout_s:g} s")

    def raise_error(self) -> None:
        """Raises the exception that ended this thread, if any, in the calling thread."""
        if self.error is not None:
            raise self.error

    def _guarded(self, run: Callable[[], object]) -> None:
        try:
            run()
        except BaseException as error:
            if isinstance(error, EdgeError):
                without_frames(error)
            else:
                log.debug("thread %s ended", self.name, exc_info=True)
            self.error = error


def _nothing() -> None:
    """Replaces the function of a thread that was started."""
