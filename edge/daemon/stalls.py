"""Progress, not liveness: a thread that lives and gets nothing done is as bad as one that is dead.

Every stage says since when it has been at its present piece of work. At `stall_s` that is a problem
which `health` shows; at `hang_s` it ends the daemon, with a non-zero exit code, whether or not a
service manager with a watchdog is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.daemon.problems import Problems
from edge.errors import TemporaryError


class StalledError(TemporaryError):
    """A stage hangs; only a new process mends that."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A stage by its name in `health.stalled`.

    busy_s: as `Stage.busy_s`. about: what is the matter, before 'for 7 s'. fatal: `hang_s` counts
    for it; a source has its own ways.
    """

    name: str
    busy_s: Callable[[], float]
    about: str
    fatal: bool = True


class StallCheck:
    """Looks at all stages each time it is called, from the thread that supervises."""

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
                self._problems.note(sentence, stage.name)
            elif stage.name in self.stalled:
                self._problems.mended(stage.name)
            if stage.fatal and busy_s >= self._hang_s:
                raise StalledError(f"{sentence}: the daemon ends, to be started anew")
        self.stalled = tuple(stalled)
