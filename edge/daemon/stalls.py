"""Watches progress, not liveness: a thread that lives but does not finish its work has failed.

Every stage reports how long its present piece of work has taken. From `stall_s` on, this is a
problem in the health message; at `hang_s` it ends the daemon with a non-zero exit code, with or
without a service manager's watchdog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.daemon.problems import Problems
from edge.errors import TemporaryError


class StalledError(TemporaryError):
    """A stage hangs; only a new process helps."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A stage by its name in `health.stalled`.

    busy_s: as `Stage.busy_s`. about: the problem's sentence, to which "for 7 s" is added. fatal:
    whether `hang_s` ends the daemon; a source is reopened instead.
    """

    name: str
    busy_s: Callable[[], float]
    about: str
    fatal: bool = True


class StallCheck:
    """Checks all stages each time it is called, in the supervising thread."""

    def __init__(
        self, watched: list[Watched], problems: Problems, *, stall_s: float, hang_s: float
    ) -> None:
        self._watched = watched
        self._problems = problems
        self._stall_s = stall_s
        self._hang_s = hang_s
        self.stalled: tuple[str, ...] = ()

    def __call__(self) -> None:
        """Brings `stalled` up to date. Raises StalledError for a stage that hangs."""
        stalled = []
        for stage in self._watched:
            busy_s = stage.busy_s()
            sentence = f"{stage.about} for {busy_s:.0f} s"
            if busy_s >= self._stall_s:
                stalled.append(stage.name)
                self._problems.report(sentence, stage.name)
            elif stage.name in self.stalled:
                self._problems.clear(stage.name)
            if stage.fatal and busy_s >= self._hang_s:
                raise StalledError(f"{sentence}: the daemon ends and must be started again")
        self.stalled = tuple(stalled)
