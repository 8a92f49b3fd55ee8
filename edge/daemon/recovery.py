"""Reopens a source that hangs or shows a frozen picture, each time after a longer pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.daemon.stalls import StalledError
from edge.sources.base import Source
from edge.sources.reconnect import Reconnecting
from edge.vision.picture_check import PictureState

HUNG_FACTOR = 2.0  # times `stall_s`: after one `stall_s` a source should give up by itself
MAX_PAUSE_S = 600.0  # a camera that needs repair is not retried more often


class SourceRecovery:
    """Call it regularly, in the supervising thread. It does nothing for a recording."""

    def __init__(
        self,
        source: Source,
        *,
        stall_s: float,
        hang_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._any_source = source
        self._source = source if isinstance(source, Reconnecting) else None
        self._stall_s = stall_s
        self._hang_s = hang_s
        self._now_s = now_s
        self._pause_s = self._first_pause_s = HUNG_FACTOR * stall_s
        self._restarted_s: float | None = None

    @property
    def restarts(self) -> int:
        """Number of times that the source was lost, for any reason, and returned."""
        return self._source.reopened if self._source is not None else 0

    @property
    def time_jumps(self) -> int:
        """How often the source's own times stepped back or leapt; 0 for a source without any."""
        return int(getattr(self._any_source, "time_jumps", 0))

    def __call__(self, picture: PictureState) -> None:
        """Reopens the source if it is due. Raises StalledError if only a new process helps."""
        if self._source is None:
            return
        answering_s = self._source.answering_s()
        if answering_s >= self._hang_s:
            raise StalledError(
                f"the source has hung for {answering_s:.0f} s: the daemon ends and must be started "
                "again"
            )
        if answering_s >= HUNG_FACTOR * self._stall_s:
            self._restart(self._source, "the source does not answer and is reopened")
        elif picture is PictureState.FROZEN:
            self._restart(self._source, "the picture is frozen and the source is reopened")
        elif self._since_restart_s() > 2 * self._pause_s:
            self._pause_s = self._first_pause_s

    def _since_restart_s(self) -> float:
        return float("inf") if self._restarted_s is None else self._now_s() - self._restarted_s

    def _restart(self, source: Reconnecting, reason: str) -> None:
        if self._since_restart_s() < self._pause_s:
            return
        if self._restarted_s is not None:
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        self._restarted_s = self._now_s()
        # In a separate thread: a source that hangs in a read may also hang in its close.
        threading.Thread(target=source.restart, args=(reason,), name="reopen", daemon=True).start()
