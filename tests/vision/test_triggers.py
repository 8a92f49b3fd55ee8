"""Rules: what they accept and what they refuse."""

from __future__ import annotations

import weakref
from datetime import datetime

import pytest

from edge.config.schema import TriggerRule, Zone
from edge.runtime.times import NS_PER_S
from edge.vision.triggers import Triggers
from edge.vision.types import Frame, Look, Track, TrackState
from tests.support.captures import picture

SIZE = (1000, 500)
PATH = Zone(name="path", polygon=((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)))
SCORE = 0.8


def track(
    now_s: float,
    scores: tuple[float, ...] = (SCORE, SCORE, SCORE),
    *,
    box: tuple[float, float, float, float] = (100, 300, 150, 400),
    label: str = "person",
    track_id: int = 1,
    has_moved: bool = True,
) -> Track:
    """A track whose looks, one a second, end at `now_s`."""
    looks = tuple(
        Look(i, round((now_s - len(scores) + 1 + i) * NS_PER_S), box, score, label)
        for i, score in enumerate(scores)
    )
    return Track(
        track_id, label, SCORE, box, (0, 0), TrackState.MOVING, 0, looks[-1].timestamp_ns,
        has_moved=has_moved, looks=looks,
    )  # fmt: skip


def frame(now_s: float = 10.0, wall_ns: int = 0, index: int = 2) -> Frame:
    """The third of the frames in which `track` was looked at."""
    tiny = picture(0, 64, 48)
    return Frame(index, round(now_s * NS_PER_S), wall_ns, tiny.luma(), tiny)


def fire(
    rule: TriggerRule, *tracks: Track, now_s: float = 10.0, triggers: Triggers | None = None
) -> int:
    triggers = triggers or Triggers([rule], [PATH], SIZE)
    return len(triggers(tracks, frame(now_s, index=len(tracks[0].looks) - 1)))


def rule(**settings: object) -> TriggerRule:
    return TriggerRule(name="r", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        ({"labels": ("person",)}, {}),
        ({"labels": ()}, {"label": "dog"}),
        ({"min_score": 0.8}, {}),
        ({"zones": ("path",)}, {}),
        ({"confirm": 2, "of_last": 3}, {"scores": (SCORE, 0.0, SCORE)}),
        ({"min_height": 0.2, "max_height": 0.2}, {}),
        ({"moving_only": True}, {}),
    ],
)
def test_accepted(settings: dict, subject: dict) -> None:
    assert fire(rule(**settings), track(10, **subject)) == 1


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        ({"labels": ("dog",)}, {}),
        ({"min_score": 0.9}, {}),
        ({"zones": ("path",)}, {"box": (600, 300, 650, 400)}),
        ({"zones": ("path",)}, {"box": (100, 100, 150, 200)}),  # its feet are above the path
        ({"confirm": 2, "of_last": 3}, {"scores": (SCORE, 0.0, 0.0)}),
        ({"confirm": 2, "of_last": 3}, {"scores": (SCORE, SCORE, 0.0)}),  # not seen just now
        ({"confirm": 3, "of_last": 3}, {"scores": (SCORE, SCORE)}),
        ({"min_height": 0.3}, {}),
        ({"max_height": 0.1}, {}),
        ({"moving_only": True}, {"has_moved": False}),
    ],
)
def test_refused(settings: dict, subject: dict) -> None:
    assert fire(rule(**settings), track(10, **subject)) == 0


def test_a_track_not_looked_at_in_this_frame_triggers_nothing() -> None:
    assert fire(rule(), track(9.9)) == 0


def test_cooldown_holds_back_the_next_track() -> None:
    triggers = Triggers([rule(cooldown_s=5.0)], [], SIZE)
    assert fire(rule(), track(10), now_s=10, triggers=triggers) == 1
    assert fire(rule(), track(14, track_id=2), now_s=14, triggers=triggers) == 0
    assert fire(rule(), track(15, track_id=2), now_s=15, triggers=triggers) == 1


@pytest.mark.parametrize(("once", "expected"), [(True, 0), (False, 1)])
def test_once_per_track(once: bool, expected: int) -> None:
    triggers = Triggers([rule(cooldown_s=1.0, once_per_track=once)], [], SIZE)
    assert fire(rule(), track(10), now_s=10, triggers=triggers) == 1
    assert fire(rule(), track(20), now_s=20, triggers=triggers) == expected


def test_each_rule_has_a_cooldown_of_its_own() -> None:
    rules = [TriggerRule(name="a"), TriggerRule(name="b")]
    triggers = Triggers(rules, [], SIZE)
    assert [e.rule.name for e in triggers([track(10)], frame())] == ["a", "b"]


@pytest.mark.parametrize(
    ("schedule", "at", "expected"),
    [
        (("08:00-18:00",), "12:00", 1),
        (("08:00-18:00",), "18:00", 0),
        (("22:00-06:00",), "23:30", 1),
        (("22:00-06:00",), "05:59", 1),
        (("22:00-06:00",), "12:00", 0),
        (("01:00-02:00", "11:00-13:00"), "12:00", 1),
    ],
)
def test_schedule_is_local_time(schedule: tuple[str, ...], at: str, expected: int) -> None:
    triggers = Triggers([rule(schedule=schedule)], [], SIZE)
    hour, minute = map(int, at.split(":"))
    wall_ns = round(datetime(2026, 6, 1, hour, minute).timestamp()) * NS_PER_S
    assert len(triggers([track(10)], frame(wall_ns=wall_ns))) == expected


def test_the_event_names_its_looks_its_best_and_its_zones() -> None:
    triggers = Triggers([rule(confirm=3, of_last=3)], [PATH], SIZE)
    frames = [frame(8.0 + index, index=index) for index in range(3)]
    scores = (0.6, 0.9, 0.7)
    for count, one in enumerate(frames[:2], 1):
        assert triggers([track(7.0 + count, scores[:count])], one) == ()
    (event,) = triggers([track(10, scores)], frames[2])
    assert [look.score for look in event.confirmed] == [0.6, 0.9, 0.7]
    assert event.best.score == 0.9
    assert event.frame is frames[1]
    assert event.zones == ("path",)


def test_the_frame_of_an_event_is_always_that_of_its_best_look() -> None:
    """Frames of other tracks' looks lie between those of this one's, more than are kept."""
    scores = [0.9, *[0.5] * 14, 0.6]
    window = tuple(
        Look(index, index * NS_PER_S, (100, 300, 150, 400), score, "person")
        for index, score in enumerate(scores)
    )
    triggers = Triggers([rule(confirm=16, of_last=16)], [PATH], SIZE)
    for index in range(16):
        seen = Track(
            1, "person", SCORE, window[0].box_xyxy, (0, 0), TrackState.MOVING, 0,
            window[index].timestamp_ns, has_moved=True, looks=window[: index + 1],
        )  # fmt: skip
        events = triggers([seen], frame(float(index), index=index))
    (event,) = events
    assert event.frame.index == event.best.frame_index == 15


def test_frames_that_no_open_track_was_seen_in_are_let_go() -> None:
    triggers = Triggers([rule(of_last=3, confirm=3)], [PATH], SIZE)
    lumas = []
    for index in range(3):
        one = frame(float(index), index=index)
        lumas.append(weakref.ref(one.luma))
        triggers([], one)
        del one
    assert [luma() is None for luma in lumas] == [True, True, False]
