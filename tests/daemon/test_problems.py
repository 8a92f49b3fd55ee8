"""The list of present problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.schema import ModelSettings
from edge.daemon.problems import MAX_PROBLEMS, SHOWN_S, Problems
from edge.daemon.service import Service
from edge.messages import AnyMessage, Health
from tests.faults.child import FaultyDetector


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


def test_a_warning_about_the_model_stays_in_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "the model has 3 classes and 2 labels"

    class Warned(FaultyDetector):
        def __init__(self, settings: ModelSettings, path: Path) -> None:
            super().__init__(settings, path)
            self.warnings = (sentence,)

    monkeypatch.setattr("edge.vision.build.Detector", Warned)
    monkeypatch.setattr("edge.daemon.problems.SHOWN_S", 0.3)
    healths: list[Health] = []

    def listen(message: AnyMessage) -> None:
        if isinstance(message, Health):
            healths.append(message)
            if len(healths) == 10:
                service.stop()

    settings = load(None, {
        "source.uri": "synthetic:people?duration=0&width=160&height=120&fps=10",
        "capture.directory": str(tmp_path / "captures"), "capture.min_free_bytes": 0,
        "bus.endpoint": f"ipc://{tmp_path}/e.ipc", "health.interval_s": 0.1,
    })  # fmt: skip
    service = Service(settings, listener=listen)
    service.run()
    assert all(sentence in health.problems for health in healths[:10])
