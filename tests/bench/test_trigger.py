"""`edge bench trigger`: the moments of individuals, and the command as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge.bench.ground_truth import NONE, Objects
from edge.bench.individuals import Individuals
from edge.bench.strategies import Step, rule_of
from edge.bench.trigger import Wait
from edge.cli import commands
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box
from edge.vision.triggers import TriggerEvent, Triggers
from edge.vision.types import Frame, Look, Track, TrackState
from tests.support.captures import picture

FPS = 10.0
RULE = rule_of("person")
PERSON: Box = (100, 100, 140, 200)
ELSEWHERE: Box = (400, 100, 440, 200)
SIZE = (640, 480)


def objects(*boxes: Box) -> Objects:
    return Objects(np.arange(len(boxes)) + 1, array(boxes))


def array(boxes: tuple[Box, ...]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def track(looked: tuple[int, ...], box: Box = PERSON) -> Track:
    """A confirmed track that these frames' looks detected."""
    looks = tuple(Look(n, round(n / FPS * NS_PER_S), box, 0.9, "person") for n in looked)
    return Track(
        1, "person", 0.9, box, (0, 0), TrackState.MOVING, 0, looks[-1].timestamp_ns, looks=looks
    )


def event(index: int, box: Box) -> TriggerEvent:
    one = picture(0, 64, 48)
    now_ns = round(index / FPS * NS_PER_S)
    triggers = Triggers([RULE], [], SIZE)
    (made,) = triggers([track((index - 1, index), box)], Frame(index, now_ns, 0, one.luma(), one))
    return made


def step(
    blobs: tuple[Box, ...] = (),
    crops: tuple[Box, ...] = (),
    detections: tuple[Box, ...] = (),
    tracks: tuple[Track, ...] = (),
    events: tuple[TriggerEvent, ...] = (),
) -> Step:
    return Step(NONE, len(crops), array(crops), array(detections), array(blobs), tracks, events)


def test_each_moment_is_the_first_frame_in_which_it_is_reached() -> None:
    truth = [NONE, *[objects(PERSON)] * 6]
    individuals = Individuals(truth, FPS, RULE)
    crop = (50, 50, 250, 250)
    steps = [
        step(),
        step(blobs=((100, 100, 120, 200),)),
        step(blobs=(PERSON,), crops=(crop,)),
        step(crops=(crop,), detections=(PERSON,), tracks=(track((3,)),)),
        step(),
        step(crops=(crop,), detections=(PERSON,), tracks=(track((3, 5)),)),
        step(crops=(crop,), tracks=(track((3, 5, 6)),), events=(event(6, PERSON),)),
    ]
    for index, one in enumerate(steps):
        individuals(index, truth[index], one)
    (person,) = individuals.by_id.values()
    waited = {moment: person.waited(moment) for moment in person.moments}
    assert waited == {"blob": 0, "look": 1, "detection": 2, "track": 2, "rule": 4, "trigger": 5}
    assert person.waited("rule", since="look") == 3


def test_a_trigger_is_false_only_where_no_person_is_or_soon_appears() -> None:
    truth = [NONE] * 12 + [objects(PERSON)]
    individuals = Individuals(truth, FPS, RULE)
    individuals(1, NONE, step(crops=(PERSON,), events=(event(1, PERSON),)))  # 1.1 s too early
    assert individuals.false_triggers == 1
    beside = (130, 105, 170, 200)
    individuals(5, NONE, step(crops=(PERSON,), events=(event(5, beside),)))
    assert individuals.false_triggers == 1
    assert individuals.by_id[1].waited("trigger") == 0
    individuals(12, truth[12], step(crops=(PERSON,), events=(event(12, ELSEWHERE),)))
    assert individuals.false_triggers == 2


def test_looks_at_another_individual_do_not_meet_the_rule_for_this_one() -> None:
    truth = [objects(PERSON, ELSEWHERE)] * 4
    individuals = Individuals(truth, FPS, RULE)
    looks = [(1, PERSON), (2, ELSEWHERE), (3, ELSEWHERE)]
    for index, box in looks:
        looked = tuple(n for n, _ in looks if n <= index)
        individuals(index, truth[index], step(crops=(box,), tracks=(track(looked, box),)))
    assert "rule" not in individuals.by_id[1].moments
    assert individuals.by_id[2].waited("rule") == 3


def test_a_box_around_two_people_triggers_for_both_and_is_no_repeat() -> None:
    behind: Box = (115, 100, 155, 200)
    truth = [objects(PERSON, behind)] * 3
    individuals = Individuals(truth, FPS, RULE)
    both: Box = (100, 100, 155, 200)
    individuals(2, truth[2], step(crops=(both,), tracks=(track((1, 2), both),),
                                  events=(event(2, both),)))  # fmt: skip
    assert [one.waited("trigger") for one in individuals.by_id.values()] == [2, 2]
    assert sum(one.triggers for one in individuals.by_id.values()) == 1


def test_only_individuals_that_appear_after_a_second_are_newcomers() -> None:
    truth = [objects(PERSON)] * 10 + [objects(PERSON, ELSEWHERE)] * 5
    individuals = Individuals(truth, FPS, RULE)
    assert [one.box_xyxy for one in individuals.newcomers()] == [ELSEWHERE]


def test_a_moment_that_never_came_is_counted_and_in_no_percentile() -> None:
    wait = Wait.of([0, 10, 20, None], FPS, runs=2)
    assert (wait.p50_s, wait.never) == (1.0, 0.5)
    assert Wait.of([None], FPS, runs=1).p50_s is None


def test_the_command_reports_every_visit_by_strategy(tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    result = CliRunner().invoke(
        commands,
        ["bench", "trigger", "--visits", "2", "--starts", "1", "--strategy", "packed+scheduled",
         "--json", str(out)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (row,) = (report := json.loads(out.read_text()))["rows"]
    assert report["runs"] == 2  # one start in both directions
    assert row["everyone"]["individuals"] == 2
    assert row["everyone"]["since_truth"]["trigger"]["never"] == 0
    assert row["everyone"]["since_truth"]["rule"]["p50_s"] < 0.3
    assert row["false_triggers"] == 0
    assert "newcomers" in result.output


def test_a_video_without_its_ground_truth_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["bench", "trigger", "--video", str(tmp_path / "v.mp4")])
    assert result.exit_code == 2
    assert "--ground-truth" in result.output


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(Exception, match="expected one of"):
        CliRunner().invoke(
            commands,
            ["bench", "trigger", "--visits", "1", "--strategy", "guess"],
            catch_exceptions=False,
        )
