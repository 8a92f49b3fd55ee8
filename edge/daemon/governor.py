"""Reduces work while the SoC is hot or its power supply weak, before the SoC throttles itself.

The SoC's temperature and the firmware's flags of under-voltage and throttling (`vcgencmd
get_throttled`) set a level. Each level leaves a share of the budget of invocations and of the frame
rate. The level rises by one per reading. It falls by one after the SoC has been cooler than the
level's threshold by `hysteresis_c` for `calm_s`, so that it does not oscillate with the temperature
that it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.config.schema import GovernorSettings
from edge.runtime.machine import Readings

FLAGGED_LEVEL = 2  # lowest level while a flag is set: the SoC is slowed already, or may fail soon


@dataclass(frozen=True, slots=True)
class Level:
    """Shares of the configured budget and of the camera's frame rate."""

    budget: float
    frame_rate: float


# Chosen, not measured: each level leaves about half the work of the one before.
LEVELS = (Level(1, 1), Level(0.5, 1), Level(0.25, 0.5), Level(0.1, 0.25))


class Governor:
    """Call it with each reading, in one thread; other threads only read `level`."""

    def __init__(self, settings: GovernorSettings) -> None:
        self._settings = settings
        self._number = 0
        self._calm_since_s: float | None = None

    def apply(self, settings: GovernorSettings) -> None:
        """Uses new settings from the next reading on; any thread may call it."""
        self._settings = settings

    @property
    def number(self) -> int:
        """The level: from 0 (full work) to 3 (least work)."""
        return self._number

    @property
    def level(self) -> Level:
        return LEVELS[self._number]

    def __call__(self, readings: Readings, now_s: float) -> Level:
        """Takes a reading. now_s: its time, of any monotonic clock."""
        wanted = self._wanted(readings, 0.0)
        if wanted > self._number:
            self._number += 1
            self._calm_since_s = None
        elif self._wanted(readings, self._settings.hysteresis_c) >= self._number:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        elif now_s - self._calm_since_s >= self._settings.calm_s:
            self._number -= 1
            self._calm_since_s = now_s
        return self.level

    def _wanted(self, readings: Readings, margin_c: float) -> int:
        """The level for these readings at a temperature higher by the margin."""
        level = 0
        if readings.temperature_c is not None and self._settings.hot_c:
            above_c = readings.temperature_c + margin_c - self._settings.hot_c
            level = int(above_c // self._settings.step_c) + 1 if above_c >= 0 else 0
        if readings.flags:
            level = max(level, FLAGGED_LEVEL)
        return min(level, len(LEVELS) - 1)


class FrameGate:
    """Lets a share of the frames through, evenly; the others are counted in `skipped`."""

    def __init__(self, share: Callable[[], float]) -> None:
        """share: returns the present share, in 0..1."""
        self.skipped = 0
        self._share = share
        self._credit = 0.0

    def passes(self) -> bool:
        """Whether a frame passes; called once for each frame."""
        self._credit += self._share()
        if self._credit < 1:
            self.skipped += 1
            return False
        self._credit -= 1
        return True
