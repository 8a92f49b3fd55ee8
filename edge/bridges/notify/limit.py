"""How often a receiver gets a push."""

from __future__ import annotations

from collections import deque
from typing import Final

HOUR_S: Final = 3600.0


class Limit:
    """Allows a push if the last one was long enough ago and the last hour had few enough."""

    def __init__(self, min_interval_s: float, per_hour: int) -> None:
        self._min_interval_s = min_interval_s
        self._times_s: deque[float] = deque(maxlen=per_hour)

    def take(self, now_s: float) -> bool:
        """Whether a push may be sent now; it then counts. now_s: never goes back."""
        times_s = self._times_s
        if times_s and now_s - times_s[-1] < self._min_interval_s:
            return False
        if len(times_s) == times_s.maxlen and now_s - times_s[0] < HOUR_S:
            return False
        times_s.append(now_s)
        return True
