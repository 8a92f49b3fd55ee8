"""Present problems, one sentence each, as the health message lists them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

SHOWN_S = 60.0  # a problem stays in the list this long after its last report
MAX_PROBLEMS = 32  # kept at a time; the one reported longest ago is dropped first

log = logging.getLogger(__name__)


class Problems:
    """Any thread may report a problem. It is logged when it appears, and when it reappears."""

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, lasting: tuple[str, ...] = ()
    ) -> None:
        """lasting: problems that stay in the list to the end; their finder has logged them."""
        self._lasting = lasting
        self._now_s = now_s
        self._lock = threading.Lock()
        self._present: dict[str, tuple[str, float]] = {}

    def report(self, sentence: str, key: str = "") -> None:
        """key: identifies the problem where the sentence changes, for example by a number."""
        with self._lock:
            known = self._present.pop(key or sentence, None)
            self._present[key or sentence] = (sentence, self._now_s())
            while len(self._present) > MAX_PROBLEMS:
                del self._present[next(iter(self._present))]
        if known is None:
            log.warning("%s", sentence)

    def clear(self, key: str) -> None:
        """Removes a problem that is over."""
        with self._lock:
            known = self._present.pop(key, None)
        if known is not None:
            log.info("over: %s", known[0])

    def current(self) -> tuple[str, ...]:
        """The sentences: the lasting ones, then the others, the newest last."""
        oldest_s = self._now_s() - SHOWN_S
        with self._lock:
            self._present = {k: p for k, p in self._present.items() if p[1] >= oldest_s}
            present = tuple(sentence for sentence, _ in self._present.values())
        return self._lasting + present
