from __future__ import annotations

from pathlib import Path

from edge.runtime.clock import FIRST_S, SETTLED_S, STEADY_S, WallClock, is_synchronized

DAY_S = 86_400.0


class Clock:
    """A wall clock and an uptime that tests move."""

    def __init__(self, *, synchronized: bool = True) -> None:
        self.wall_s = FIRST_S + 300 * DAY_S
        self.up_s = 5.0
        self.synchronized = synchronized
        self.judged = WallClock(lambda: self.wall_s, lambda: self.up_s, lambda: self.synchronized)

    def run(self, seconds: float) -> str:
        self.wall_s += seconds
        self.up_s += seconds
        return self.judged.state()

    def jump(self, seconds: float) -> str:
        self.wall_s += seconds
        return self.judged.state()


def test_a_synchronized_clock_is_believed_after_an_hour() -> None:
    clock = Clock()
    assert clock.run(0) == clock.run(SETTLED_S - 1) == "unknown"
    assert clock.run(1) == "synchronized"


def test_without_a_time_service_a_steady_clock_is_believed_after_a_day() -> None:
    clock = Clock(synchronized=False)
    assert clock.run(STEADY_S - 1) == "unknown"
    assert clock.run(1) == "steady"
    clock.synchronized = True
    assert clock.run(1) == "synchronized"


def test_a_jump_in_either_direction_starts_the_hour_again() -> None:
    clock = Clock()
    for seconds in (400 * DAY_S, -400 * DAY_S, 61, -61):
        assert clock.run(SETTLED_S) == "synchronized"
        assert clock.jump(seconds) == "unknown"
        assert clock.run(SETTLED_S - 1) == "unknown"


def test_small_corrections_are_not_jumps() -> None:
    clock = Clock()
    clock.run(SETTLED_S)
    for _ in range(200):
        assert clock.jump(0.9) == "synchronized"


def test_a_year_before_this_program_is_never_believed() -> None:
    clock = Clock(synchronized=False)
    clock.jump(-clock.wall_s)
    assert clock.run(100 * DAY_S) == "unknown"


def test_the_flag_of_timesyncd_means_synchronized(tmp_path: Path) -> None:
    flag = tmp_path / "synchronized"
    assert is_synchronized(flag) in (True, False)  # the kernel's answer on this machine
    flag.touch()
    assert is_synchronized(flag)
