"""Counters that several threads add to."""

from __future__ import annotations

import threading
from collections import Counter


class Counts:
    """Counters by name, from 0."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._counts[name]
