from __future__ import annotations

import pytest

from edge.daemon.problems import MOST, SHOWN_S, Problems


def test_a_problem_is_shown_as_last_told_until_it_is_over_or_old(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    problems = Problems(lambda: now_s)
    problems.note("no frame for 5 s", "source")
    problems.note("disk full")
    problems.note("no frame for 6 s", "source")
    assert problems.current() == ("disk full", "no frame for 6 s")
    assert caplog.messages == ["no frame for 5 s", "disk full"]
    now_s = SHOWN_S / 2
    problems.note("disk full")
    problems.mended("source")
    assert problems.current() == ("disk full",)
    now_s = SHOWN_S * 2
    assert problems.current() == ()


def test_it_is_bounded() -> None:
    problems = Problems()
    for number in range(MOST * 3):
        problems.note(f"problem {number}")
    assert len(problems.current()) == MOST
    assert problems.current()[-1] == f"problem {MOST * 3 - 1}"
