"""The problems of a camera, as its health messages report them, and its silence."""

from __future__ import annotations

import re
from typing import Final

from edge.messages import Health

MISSED_INTERVALS: Final = 6  # of health, until a camera counts as silent
MIN_PATIENCE_S: Final = 2.0  # for short intervals, of which a busy machine may miss several
START_S: Final = 60.0  # the same after a stop, and at the start of this program
SETTLE_S: Final = 10.0  # a problem, or its end, must last this long
MAX_PROBLEMS: Final = 32  # as many as a daemon keeps
SILENT: Final = "the camera gives no sign of life"


class Problems:
    """The problems that have lasted. Times are monotonic and never go back.

    settled: the sentence of each, by its `key_of`.
    """

    def __init__(self, interval_s: float, now_s: float, settle_s: float = SETTLE_S) -> None:
        """interval_s: of the health messages."""
        self.settled: dict[str, str] = {}
        self._settle_s = settle_s
        self._patience_s = max(MISSED_INTERVALS * interval_s, MIN_PATIENCE_S)
        self._silent_after_s = now_s + max(START_S, self._patience_s)
        self._reported: dict[str, str] = {}
        self._differs_since_s: dict[str, float] = {}

    def note(self, health: Health, now_s: float) -> None:
        """A daemon that starts may not have found again yet what was wrong before."""
        stopping = health.state == "stopping"
        patience_s = max(START_S, self._patience_s) if stopping else self._patience_s
        self._silent_after_s = now_s + patience_s
        reported = {key_of(sentence): sentence for sentence in health.problems[:MAX_PROBLEMS]}
        if health.state == "starting":
            reported = dict(list((self._reported | reported).items())[-MAX_PROBLEMS:])
        self._reported = reported

    def check(self, now_s: float) -> None:
        """Brings `settled` up to date; call it about once a second."""
        present = self._reported
        if now_s > self._silent_after_s:
            present = present | {SILENT: SILENT}
        differing = present.keys() ^ self.settled.keys()
        self._differs_since_s = {key: self._differs_since_s.get(key, now_s) for key in differing}
        for key, since_s in self._differs_since_s.items():
            if now_s - since_s < self._settle_s:
                continue
            if key in present:
                self.settled[key] = present[key]
            else:
                del self.settled[key]


def key_of(sentence: str) -> str:
    """The problem without its numbers and its reason, which may change while it lasts."""
    return re.sub(r"-?\d+(?:[.,:]\d+)*", "#", sentence.partition(": ")[0])
