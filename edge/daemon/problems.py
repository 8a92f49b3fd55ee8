"""What is wrong at present, a sentence each, as `health` shows it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

SHOWN_S = 60.0  # a problem is shown this long after it was last heard of
MOST = 32  # kinds of problem at a time; the one heard of longest ago goes first

log = logging.getLogger(__name__)


class Problems:
    """Noted by any thread. A problem is logged when it comes, and again when it comes back."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[str, float]] = {}

    def note(self, sentence: str, key: str = "") -> None:
        """`key` is what stays the same where the sentence changes, as with a number in it."""
        with self._lock:
            known = self._heard.pop(key or sentence, None)
            self._heard[key or sentence] = (sentence, self._now_s())
            while len(self._heard) > MOST:
                del self._heard[next(iter(self._heard))]
        if known is None:
            log.warning("%s", sentence)

    def mended(self, key: str) -> None:
        """It is over, and not shown any more."""
        with self._lock:
            known = self._heard.pop(key, None)
        if known is not None:
            log.info("over: %s", known[0])

    def current(self) -> tuple[str, ...]:
        """The sentences, the newest last."""
        oldest_s = self._now_s() - SHOWN_S
        with self._lock:
            self._heard = {k: known for k, known in self._heard.items() if known[1] >= oldest_s}
            return tuple(sentence for sentence, _ in self._heard.values())
