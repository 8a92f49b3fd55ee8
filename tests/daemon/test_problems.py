"""The list of present problems."""

from __future__ import annotations

import pytest

from edge.daemon.problems import MAX_PROBLEMS, SHOWN_S, Problems


def test_a_problem_has_its_latest_sentence_until_it_is_cleared_or_old(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    problems = Problems(lambda: now_s)
    problems.report("no frame for 5 s", "source")
    problems.report("disk full")
    problems.report("no frame for 6 s", "source")
    assert problems.current() == ("disk full", "no frame for 6 s")
    assert caplog.messages == ["no frame for 5 s", "disk full"]
    now_s = SHOWN_S / 2
    problems.report("disk full")
    problems.clear("source")
    assert problems.current() == ("disk full",)
    now_s = SHOWN_S * 2
    assert problems.current() == ()


def test_the_list_keeps_only_the_newest_problems() -> None:
    problems = Problems()
    for number in range(MAX_PROBLEMS * 3):
        problems.report(f"problem {number}")
    assert len(problems.current()) == MAX_PROBLEMS
    assert problems.current()[-1] == f"problem {MAX_PROBLEMS * 3 - 1}"
