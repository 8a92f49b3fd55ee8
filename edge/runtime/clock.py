"""Judges the wall clock, which a Raspberry Pi without a network or a clock chip has wrong."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

# synchronized: a time service has set the clock, and it has run without a jump for an hour.
# steady: no time service is known, but the clock has run without a jump for a day.
# unknown: it started or jumped a short time ago.
ClockState: TypeAlias = Literal["synchronized", "steady", "unknown"]

JUMP_S: Final = 60.0  # far above what a time service corrects without a jump between two readings
SETTLED_S: Final = 3600.0  # a person or time service corrects a wrong step within this
STEADY_S: Final = 86_400.0  # without a time service: a night's outage of the network is shorter
# No capture is older than this program, and a Pi whose clock starts at 0 says 1970.
FIRST_S: Final = 1_735_689_600.0  # 2025-01-01 UTC
_TIMESYNCD_FLAG: Final = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronized
_TIMEX_BYTES: Final = 1024  # more than the 208 bytes of struct timex on any processor


def is_synchronized(flag: Path = _TIMESYNCD_FLAG) -> bool:
    """Whether a time service reports that it has set the clock.

    Asks systemd-timesyncd, and otherwise the kernel, to which chrony and ntpd report. In a service
    with ProtectClock= the kernel does not answer, which counts as False.
    """
    if flag.exists():
        return True
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):  # not Linux
        return False
    return 0 <= state < _TIME_ERROR


def uptime_s() -> float:
    """Seconds since the system started, including its sleep; no change of the clock moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WallClock:
    """The wall clock and whether its time can be believed.

    A jump is a change of the difference between wall clock and uptime, from one call of `state` to
    the next.
    """

    def __init__(
        self,
        wall_s: Callable[[], float] = time.time,
        uptime_s: Callable[[], float] = uptime_s,
        synchronized: Callable[[], bool] = is_synchronized,
    ) -> None:
        self.wall_s = wall_s
        self._uptime_s = uptime_s
        self._synchronized = synchronized
        self._difference_s = wall_s() - uptime_s()
        self._since_s = uptime_s()

    def state(self) -> ClockState:
        """Reads the clock now."""
        wall_s, uptime_s = self.wall_s(), self._uptime_s()
        difference_s = wall_s - uptime_s
        if abs(difference_s - self._difference_s) > JUMP_S:
            self._since_s = uptime_s
        self._difference_s = difference_s
        lasted_s = uptime_s - self._since_s
        if wall_s < FIRST_S or lasted_s < SETTLED_S:
            return "unknown"
        if self._synchronized():
            return "synchronized"
        return "steady" if lasted_s >= STEADY_S else "unknown"


# One for the process, since a reload of the configuration makes a new recorder.
WALL_CLOCK: Final = WallClock()
