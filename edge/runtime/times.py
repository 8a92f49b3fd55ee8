"""Units of time in nanoseconds, the unit of all times inside the program."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
