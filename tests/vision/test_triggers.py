"""Rules: the tracks that they accept and refuse, and the events that follow."""

from __future__ import annotations

import weakref
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from edge.config.schema import Mute, TriggerRule, Zone
from edge.runtime.times import NS_PER_S
from edge.vision.triggers import UNLESS_S, Triggers
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
    """By default, the frame of the third look of `track`."""
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
def test_a_rule_accepts_a_track_that_meets_it(settings: dict, subject: dict) -> None:
    assert fire(rule(**settings), track(10, **subject)) == 1


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        ({"labels": ("dog",)}, {}),
        ({"min_score": 0.9}, {}),
        ({"zones": ("path",)}, {"box": (600, 300, 650, 400)}),
        ({"zones": ("path",)}, {"box": (100, 100, 150, 200)}),  # its bottom edge is above the path
        ({"confirm": 2, "of_last": 3}, {"scores": (SCORE, 0.0, 0.0)}),
        ({"confirm": 2, "of_last": 3}, {"scores": (SCORE, SCORE, 0.0)}),  # missed in this frame
        ({"confirm": 3, "of_last": 3}, {"scores": (SCORE, SCORE)}),
        ({"min_height": 0.3}, {}),
        ({"max_height": 0.1}, {}),
        ({"moving_only": True}, {"has_moved": False}),
    ],
)
def test_a_rule_refuses_a_track_that_does_not_meet_it(settings: dict, subject: dict) -> None:
    assert fire(rule(**settings), track(10, **subject)) == 0


def test_a_track_without_a_look_in_this_frame_triggers_nothing() -> None:
    assert fire(rule(), track(9.9)) == 0


def test_a_cooldown_delays_the_next_event() -> None:
    triggers = Triggers([rule(cooldown_s=5.0)], [], SIZE)
    assert fire(rule(), track(10), now_s=10, triggers=triggers) == 1
    assert fire(rule(), track(14, track_id=2), now_s=14, triggers=triggers) == 0
    assert fire(rule(), track(15, track_id=2), now_s=15, triggers=triggers) == 1


@pytest.mark.parametrize(("once", "expected"), [(True, 0), (False, 1)])
def test_a_track_triggers_a_rule_again_unless_once_per_track_is_set(
    once: bool, expected: int
) -> None:
    triggers = Triggers([rule(cooldown_s=1.0, once_per_track=once)], [], SIZE)
    assert fire(rule(), track(10), now_s=10, triggers=triggers) == 1
    assert fire(rule(), track(20), now_s=20, triggers=triggers) == expected


def test_a_track_that_another_object_takes_over_triggers_again() -> None:
    triggers = Triggers([rule(cooldown_s=0.0)], [], SIZE)
    assert fire(rule(), track(10), now_s=10, triggers=triggers) == 1
    assert fire(rule(), track(11), now_s=11, triggers=triggers) == 0
    other = replace(track(12), takeovers=1)
    assert fire(rule(), other, now_s=12, triggers=triggers) == 1
    assert fire(rule(), replace(track(13), takeovers=1), now_s=13, triggers=triggers) == 0


@pytest.mark.parametrize(("cooldown_s", "expected"), [(0.0, 2), (1.0, 1)])
def test_without_a_cooldown_every_object_of_a_frame_triggers(
    cooldown_s: float, expected: int
) -> None:
    assert fire(rule(cooldown_s=cooldown_s), track(10), track(10, track_id=2)) == expected


PERSON: dict[str, Any] = {"track_id": 2, "box": (600, 300, 650, 400)}


@pytest.mark.parametrize(
    ("unless", "other", "expected"),
    [
        (("person",), replace(track(10, **PERSON), state=TrackState.STATIONARY), 0),
        (("vehicle",), replace(track(10, label="car", track_id=2), group="vehicle"), 0),
        (("person",), replace(track(10, **PERSON), state=TrackState.TENTATIVE), 1),
        (("person",), track(10, label="cat", track_id=2), 1),
        ((), track(10, **PERSON), 1),
    ],
)
def test_a_rule_makes_no_event_while_one_of_its_exceptions_is_in_view(
    unless: tuple[str, ...], other: Track, expected: int
) -> None:
    keeps = rule(labels=("dog",), unless=unless)
    assert fire(keeps, track(10, label="dog"), other) == expected


def test_an_exception_holds_for_some_seconds_after_it_left_and_over_a_reload() -> None:
    keeps = rule(labels=("dog",), unless=("person",))
    triggers = Triggers([keeps], [], SIZE)
    assert fire(keeps, track(10, label="dog"), track(10, **PERSON), triggers=triggers) == 0
    triggers.replace([keeps], [])
    soon, later = 10 + UNLESS_S - 0.1, 10 + UNLESS_S
    assert fire(keeps, track(soon, label="dog"), now_s=soon, triggers=triggers) == 0
    assert fire(keeps, track(later, label="dog"), now_s=later, triggers=triggers) == 1


@pytest.mark.parametrize("settings", [{"labels": ("dog",), "unless": ("dog",)},
                                      {"unless": ("motion",)}])  # fmt: skip
def test_an_exception_that_the_rule_is_about_or_that_is_no_object_is_a_problem(
    settings: dict,
) -> None:
    ((key, sentence),) = rule(**settings).problems()
    assert key == "unless"
    assert settings["unless"][0] in sentence


def test_each_rule_has_its_own_cooldown() -> None:
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
def test_a_schedule_is_in_local_time(schedule: tuple[str, ...], at: str, expected: int) -> None:
    triggers = Triggers([rule(schedule=schedule)], [], SIZE)
    hour, minute = map(int, at.split(":"))
    wall_ns = round(datetime(2026, 6, 1, hour, minute).timestamp()) * NS_PER_S
    assert len(triggers([track(10)], frame(wall_ns=wall_ns))) == expected


def test_an_event_has_its_looks_the_best_look_with_its_frame_and_the_zones() -> None:
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


def test_the_frame_of_an_event_is_the_frame_of_its_best_look() -> None:
    """The rule needs more looks than frames are kept: the best look is one with a kept frame."""
    scores = [0.9, *[0.5] * 12, 0.8, 0.5, 0.6]
    window = tuple(
        Look(index, index * NS_PER_S, (100, 300, 150, 400), score, "person")
        for index, score in enumerate(scores)
    )
    triggers = Triggers([rule(confirm=16, of_last=16)], [PATH], SIZE)
    for index in range(16):
        open_track = Track(
            1, "person", SCORE, window[0].box_xyxy, (0, 0), TrackState.MOVING, 0,
            window[index].timestamp_ns, has_moved=True, looks=window[: index + 1],
        )  # fmt: skip
        events = triggers([open_track], frame(float(index), index=index))
    (event,) = events
    assert event.frame.index == event.best.frame_index == 13


def test_frames_without_a_look_at_an_open_track_are_released() -> None:
    triggers = Triggers([rule(of_last=3, confirm=3)], [PATH], SIZE)
    lumas = []
    for index in range(3):
        one = frame(float(index), index=index)
        lumas.append(weakref.ref(one.luma))
        triggers([], one)
        del one
    assert [luma() is None for luma in lumas] == [True, True, False]


SCREEN = Mute(box=(0.1, 0.6, 0.15, 0.8))  # where `track` stands by default


@pytest.mark.parametrize(
    ("labels", "subject"),
    [
        ((), {}),
        ((), {"box": (103, 302, 150, 405)}),  # a tenth of it is outside
        (("person",), {}),
        (("dog", "person"), {}),
    ],
)
def test_a_muted_place_silences_what_stays_in_it(labels: tuple[str, ...], subject: dict) -> None:
    mutes = [Mute(box=(0.9, 0.1, 1.0, 0.3)), Mute(box=SCREEN.box, labels=labels)]
    triggers = Triggers([rule()], [], SIZE, mutes=mutes)
    still = replace(track(10, **subject), has_moved=False)
    assert fire(rule(), still, triggers=triggers) == 0
    assert fire(rule(), still, triggers=triggers) == 0
    assert triggers.muted == 1  # one object
    triggers.begin_scene((500, 250))  # the place is a share of the picture
    half = (50, 150, 75, 200)
    assert fire(rule(), replace(track(11, box=half), has_moved=False), triggers=triggers) == 0
    triggers.replace([rule()], [])
    assert fire(rule(), still, triggers=triggers) == 1


@pytest.mark.parametrize(
    ("labels", "subject", "has_moved"),
    [
        ((), {}, True),  # walked within the place
        ((), {"box": (100, 250, 150, 400)}, False),  # larger than the place
        ((), {"box": (110, 300, 160, 400)}, False),  # a fifth of it is outside
        ((), {"box": (400, 300, 450, 400)}, False),
        (("dog", "animal"), {}, False),
    ],
)
def test_a_muted_place_silences_nothing_else(
    labels: tuple[str, ...], subject: dict, has_moved: bool
) -> None:
    triggers = Triggers([rule()], [], SIZE, mutes=[Mute(box=SCREEN.box, labels=labels)])
    other = replace(track(10, **subject), has_moved=has_moved)
    assert fire(rule(), other, triggers=triggers) == 1
    assert triggers.muted == 0


def test_an_object_that_leaves_a_muted_place_or_entered_it_triggers_at_once() -> None:
    triggers = Triggers([rule(cooldown_s=0.0)], [], SIZE, mutes=[SCREEN])
    inside = replace(track(10), has_moved=False)
    assert fire(rule(), inside, triggers=triggers) == 0
    left = Look(3, 11 * NS_PER_S, (130, 300, 180, 400), SCORE, "person")
    leaving = replace(inside, looks=(*inside.looks, left))
    assert len(triggers([leaving], frame(11.0, index=3))) == 1
    entered = replace(inside, id=2, looks=(replace(left, timestamp_ns=0), *inside.looks))
    assert fire(rule(), entered, now_s=10.0, triggers=triggers) == 1


def test_two_muted_places_are_not_one_large_one() -> None:
    """An object that is in the first at one look and in the second at the next has moved."""
    mutes = [SCREEN, Mute(box=(0.2, 0.6, 0.25, 0.8))]
    triggers = Triggers([rule()], [], SIZE, mutes=mutes)
    jumping = track(10)
    looks = (*jumping.looks[:2], replace(jumping.looks[2], box_xyxy=(200, 300, 250, 400)))
    assert fire(rule(), replace(jumping, looks=looks, has_moved=False), triggers=triggers) == 1


@pytest.mark.parametrize(
    ("label", "group", "fires"),
    [("sheep", "animal", 1), ("animal", "", 1), ("person", "", 0), ("car", "vehicle", 0)],
)
def test_a_rule_for_a_group_takes_every_label_of_it(label: str, group: str, fires: int) -> None:
    seen = replace(track(10.0, label=label), group=group)
    assert fire(rule(labels=("animal",)), seen) == fires
    assert fire(rule(labels=("dog", "animal")), seen) == fires
    assert fire(rule(), seen) == 1


def test_an_object_is_present_from_its_confirmation_until_it_is_gone() -> None:
    rules = [TriggerRule(name="any", cooldown_s=60.0), rule(labels=("dog",))]
    triggers = Triggers(rules, [], SIZE)
    first, second = track(10), track(12, track_id=2)
    assert triggers.present([first]) == {"any": 0, "r": 0}
    triggers([first], frame(10))
    assert triggers.present([first]) == {"any": 1, "r": 0}
    # The second makes no event, as the cooldown lasts, and is there all the same.
    assert not triggers([replace(first, looks=track(12).looks), second], frame(12, index=3))
    assert triggers.present([first, second]) == {"any": 2, "r": 0}
    assert triggers.present([second]) == {"any": 1, "r": 0}
    weak = replace(second, looks=track(14, (0.0, 0.0, 0.0), track_id=2).looks)
    triggers([weak], frame(14, index=4))
    assert triggers.present([weak])["any"] == 1  # missed, and not gone


def test_an_object_that_leaves_the_zone_of_a_rule_is_no_longer_present() -> None:
    triggers = Triggers([rule(zones=("path",))], [PATH], SIZE)
    inside, outside = (100, 300, 150, 400), (600, 300, 650, 400)
    for now_s, box, there in ((10, inside, 1), (10.8, outside, 1), (11.2, outside, 0),
                              (12, inside, 1)):  # fmt: skip
        moved = track(now_s, box=box)
        triggers([moved], frame(now_s))
        assert triggers.present([moved]) == {"r": there}, now_s


def test_a_muted_object_is_not_present() -> None:
    triggers = Triggers([rule()], [], SIZE, mutes=(Mute(box=(0.0, 0.5, 0.5, 1.0)),))
    standing = track(10, has_moved=False)
    assert not triggers([standing], frame(10))
    assert triggers.present([standing]) == {"r": 0}
