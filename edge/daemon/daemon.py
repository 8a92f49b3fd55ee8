"""One camera from start to stop.

    source thread ──► mailbox of one frame ──► analysis thread ──► publisher
          └──► recorder (pre-roll)                   └──► recorder (captures)

The main thread supervises. A thread that hangs or ends with an error ends the daemon with a
non-zero exit code; the daemon never continues without one of its parts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from edge.config.schema import Settings
from edge.daemon.parts import Parts
from edge.daemon.problems import Problems
from edge.daemon.progress import Progress
from edge.daemon.supervisor import Supervisor
from edge.errors import EdgeError
from edge.runtime.notify import ServiceManager

SUPERVISE_S = 0.1  # longest time until an error or a stop request is handled
STOP_STAGE_S = 2.0  # for a thread to end; one that takes longer is stuck
STOP_CAPTURES_S = 5.0  # for open clips and their files
STOP_S = 15.0  # for the whole shutdown, within TimeoutStopSec=20 of the unit; then the process ends
EXIT_HANGING = 70  # EX_SOFTWARE of sysexits.h

log = logging.getLogger(__name__)


class Daemon:
    """Starts its parts, supervises them, and stops them in the order of the flow.

    `edge.daemon.assemble.assemble` makes one.
    """

    def __init__(
        self, parts: Parts, supervisor: Supervisor, apply: Callable[[Settings], None] | None = None
    ) -> None:
        """apply: gives new settings to the running parts; see `edge.daemon.live.LiveSettings`."""
        self._parts = parts
        self._supervisor = supervisor
        self._apply = apply
        self._stop = threading.Event()

    @property
    def settings(self) -> Settings:
        return self._parts.settings

    @property
    def progress(self) -> Progress:
        return self._parts.progress

    @property
    def problems(self) -> Problems:
        return self._parts.problems

    @property
    def waiting(self) -> str:
        """The reason why the source can't be opened at present; empty while it is open."""
        return self._parts.acquisition.waiting

    def apply(self, settings: Settings) -> None:
        """Uses new settings from the next frame on; any thread may call it.

        Raises an error before anything is changed.
        """
        assert self._apply is not None
        self._apply(settings)

    def stop(self) -> None:
        """Makes `run` end soon; callable from a signal handler or another thread."""
        self._parts.remote.close()
        self._stop.set()

    def run(self, manager: ServiceManager) -> None:
        """Runs until the source ends or `stop` is called. Raises any error that ended it."""
        parts = self._parts
        parts.recorder.start()
        parts.publisher.start()
        try:
            parts.control.start()
            parts.hooks.start()
            parts.acquisition.thread.start()
            parts.analysis.thread.start()
            while not self._stop.wait(SUPERVISE_S) and not self._is_over():
                self._supervisor.step(manager)
        finally:
            with _ending_within(STOP_S):
                self._shut_down()
        parts.raise_errors()

    def _is_over(self) -> bool:
        """Whether the source has ended and its last frame is analysed."""
        parts = self._parts
        return not (parts.acquisition.thread.alive or parts.analysis.thread.alive)

    def _shut_down(self) -> None:
        """Stops the parts in the order of the flow, so that work in progress is finished.

        A part that does not stop is reported, and the later ones are stopped nevertheless.
        """
        parts = self._parts
        parts.acquisition.thread.request_stop()
        stops: list[Callable[[], object]] = [
            parts.control.stop,
            partial(parts.acquisition.thread.join, STOP_STAGE_S),
            partial(parts.analysis.thread.stop, STOP_STAGE_S),
            parts.hooks.stop,
            partial(parts.recorder.stop, STOP_CAPTURES_S),
            partial(self._supervisor.publish_health, "stopping"),
            parts.publisher.stop,
        ]
        errors: list[Exception] = []
        for stop in stops:
            try:
                stop()
            except EdgeError as error:
                parts.problems.report(str(error))
            except Exception as error:
                log.debug("a part failed to stop", exc_info=True)
                errors.append(error)
        if errors:
            raise errors[0]


@contextmanager
def _ending_within(limit_s: float) -> Iterator[None]:
    """Ends the process at once if the shutdown itself hangs.

    Unfinished files have temporary names, and the next start removes them.
    """
    last_resort = threading.Timer(limit_s, os._exit, (EXIT_HANGING,))
    last_resort.daemon = True
    last_resort.start()
    try:
        yield
    finally:
        last_resort.cancel()
