"""Heat and weak power: less work before the SoC throttles itself, and more again when it is cool.

Two readings: the SoC's temperature from the thermal zones, and the firmware's flags of
under-voltage and throttling, as `vcgencmd get_throttled` shows them. They make a level; each leaves
a share of the budget of invocations and of the frame rate. Up goes one level a reading; down goes
one at a time too, and only after the readings have been well below for a while, so that the
governor doesn't swing with what it governs.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.config.schema import GovernorSettings
from edge.runtime.machine import Readings

FLAGGED_LEVEL = 2  # the SoC has already been slowed, or soon fails: at least this


@dataclass(frozen=True, slots=True)
class Level:
    """Shares of what the settings allow."""

    budget: float
    frame_rate: float


LEVELS = (Level(1, 1), Level(0.5, 1), Level(0.25, 0.5), Level(0.1, 0.25))


class Governor:
    """Readings to a level, a reading at a time."""

    def __init__(self, settings: GovernorSettings) -> None:
        self._settings = settings
        self._number = 0
        self._calm_since_s: float | None = None

    @property
    def number(self) -> int:
        """0 = full work, and up to 3."""
        return self._number

    @property
    def level(self) -> Level:
        return LEVELS[self._number]

    def __call__(self, readings: Readings, now_s: float) -> Level:
        """`now_s`: of any clock that doesn't go back."""
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
        """The level of these readings, were they so much hotter."""
        level = 0
        if readings.temperature_c is not None and self._settings.hot_c:
            above_c = readings.temperature_c + margin_c - self._settings.hot_c
            level = int(above_c // self._settings.step_c) + 1 if above_c >= 0 else 0
        if readings.flags:
            level = max(level, FLAGGED_LEVEL)
        return min(level, len(LEVELS) - 1)


class FrameGate:
    """Lets a share of the frames through, evenly; the others are counted in `skipped`."""

    def __init__(self) -> None:
        self.share = 1.0
        self.skipped = 0
        self._credit = 0.0

    def passes(self) -> bool:
        """Once for each frame."""
        self._credit += self.share
        if self._credit < 1:
            self.skipped += 1
            return False
        self._credit -= 1
        return True
