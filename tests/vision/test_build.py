"""Detectors and pipelines are built from settings that were checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.config.schema import PrivacySettings, Settings, TrackerSettings, TriggerRule
from edge.errors import ConfigError
from edge.vision.build import build_detector, build_pipeline, check_labels
from edge.vision.types import Detections, Frame, SourceInfo
from tests.support.captures import picture
from tests.support.commands import edge

INFO = SourceInfo("test", (640, 480), (320, 240), 10.0, live=False)
DOGS = Settings(triggers=(TriggerRule(name="dogs", labels=("dog", "persn")),))


def test_an_unknown_label_is_an_error_that_suggests_the_nearest_one() -> None:
    unknown, misspelt = check_labels(DOGS, ["person"])
    assert "triggers[0].labels: the model" in unknown
    assert unknown.endswith("has no label 'dog'; it has person, motion")
    assert "did you mean person?" in misspelt
    assert check_labels(Settings(), ["person"]) == []
    many = [f"class {number}" for number in range(90)]
    assert check_labels(DOGS, many)[0].endswith("; `edge models info MODEL` lists its labels")


def test_a_group_of_the_model_is_as_good_as_a_label() -> None:
    rules = Settings(triggers=(TriggerRule(name="wild", labels=("animal", "vehicle")),))
    (vehicle,) = check_labels(rules, ["dog", "person"], ["animal", ""])
    assert "has no label 'vehicle'" in vehicle


def test_a_label_to_blur_must_be_known_too() -> None:
    blur = Settings(privacy=PrivacySettings(blur=("persons", "animal", "motion")))
    (unknown,) = check_labels(blur, ["person"], ["animal"])
    assert unknown.startswith("privacy.blur: the model")
    assert "has no label 'persons'; did you mean person?" in unknown


def test_a_rule_with_an_unknown_label_builds_no_detector_and_no_pipeline() -> None:
    with pytest.raises(ConfigError, match="has no label 'dog'"):
        build_detector(DOGS)
    with pytest.raises(ConfigError, match="has no label 'dog'"):
        build_pipeline(DOGS, build_detector(Settings()), INFO)


@pytest.mark.parametrize("command", ["run", "replay", "bench stages"])
def test_every_command_refuses_a_rule_with_an_unknown_label(command: str, tmp_path: Path) -> None:
    """`edge replay` used to exit with 0 and print "0 triggers"."""
    source = "synthetic:still?duration=5"
    source_arguments = [source] if command == "replay" else ["--source", source]
    rule = "triggers=[{name='dogs', labels=['dog']}]"
    folder = [] if "bench" in command else ["--set", f"capture.directory={tmp_path}"]
    done = edge(*command.split(), *source_arguments, "--set", rule, *folder, folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "has no label 'dog'" in done.stderr


def test_a_pipeline_is_built_before_the_first_frame() -> None:
    assert INFO.luma_shape == (240, 320)
    build_pipeline(Settings(), build_detector(Settings()), INFO)


@pytest.mark.parametrize(
    ("by_file", "min_score", "setting", "asked"),
    [(0.25, 0.5, 0.0, 0.25), (0.55, 0.6, 0.0, 0.55), (0.55, 0.6, 0.3, 0.3), (0.55, 0.4, 0.0, 0.4)],
)
def test_the_weak_score_is_that_of_the_model_unless_it_is_set(
    by_file: float, min_score: float, setting: float, asked: float
) -> None:
    """A weak detection is never stronger than an ordinary one."""

    class Finder:
        labels, groups, input_size = ("person",), ("",), (320, 320)

        def __init__(self) -> None:
            self.min_score, self.weak_score = min_score, by_file
            self.asked: list[float | None] = []

        def detect(
            self, _canvas: npt.NDArray[np.uint8], min_score: float | None = None
        ) -> Detections:
            self.asked.append(min_score)
            return Detections.empty()

    finder, one = Finder(), picture(0, 640, 480)
    pipeline = build_pipeline(Settings(tracker=TrackerSettings(weak_score=setting)), finder, INFO)
    pipeline(Frame(0, 0, 0, one.luma(), one))
    assert finder.asked == [asked]
