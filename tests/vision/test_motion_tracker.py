"""Rules on the label `motion`: the follower of blobs alone, and with all stages on frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge.config.schema import MOTION_LABEL, Settings, TriggerRule
from edge.runtime.times import NS_PER_S
from edge.sources.views import luma_of
from edge.vision.build import build_detector, build_pipeline
from edge.vision.motion_tracker import LOST_S, UNEXPLAINED_S, MotionTracker
from edge.vision.picture import Picture, PixelFormat
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Frame, SourceInfo, Track, TrackState

FPS = 10
INFO = SourceInfo("field", (640, 480), (320, 240), FPS, live=False)
RULE = TriggerRule(name="unknown", labels=(MOTION_LABEL,), cooldown_s=0, moving_only=True)


def follow(
    boxes: Iterator[tuple[float, float, float, float] | None],
    tracks: tuple[Track, ...] = (),
    activity: float = 1.0,
) -> list[tuple[Track, ...]]:
    follower, found = MotionTracker(), []
    for index, box in enumerate(boxes):
        rows = np.array([box] if box else [], np.float32).reshape(-1, 4)
        active = np.full(len(rows), activity, np.float32)
        found.append(follower(rows, active, tracks, index, index * NS_PER_S // FPS))
    return found


def walk(frames: int, step_px: float = 4.0) -> Iterator[tuple[float, float, float, float]]:
    yield from ((10 + n * step_px, 50.0, 50 + n * step_px, 80.0) for n in range(frames))


def test_no_blob_is_no_track() -> None:
    assert follow(None for _ in range(20)) == [()] * 20


def test_a_blob_becomes_one_track_after_a_second() -> None:
    found = follow(walk(40))
    before = round(UNEXPLAINED_S * FPS)
    assert found[before - 1] == ()
    assert {track.id for tracks in found for track in tracks} == {-1}
    (last,) = found[-1]
    assert last.label == MOTION_LABEL
    assert last.has_moved
    assert last.velocity_px_s[0] == pytest.approx(4 * FPS, rel=0.2)
    gaps = np.diff([look.timestamp_ns for look in last.looks])
    assert (gaps >= 0.2 * NS_PER_S).all()


def test_a_pause_of_its_motion_ends_it() -> None:
    hidden = round(LOST_S * FPS) + 2
    found = follow(box for part in (walk(30), [None] * hidden, walk(30)) for box in part)
    assert {track.id for tracks in found for track in tracks} == {-1, -2}


def test_a_blob_in_a_tracks_box_and_one_that_stands_still_take_no_part() -> None:
    person = Track(7, "person", 0.9, (0, 0, 400, 200), (0, 0), TrackState.MOVING, 0, 0)
    assert not any(follow(walk(40), (person,)))
    assert not any(follow(walk(40), activity=0.0))


def test_two_that_pass_each_other_apart_stay_two() -> None:
    follower, ids = MotionTracker(), set()
    for index in range(40):
        boxes = [
            (10 + 8 * index, 50, 50 + 8 * index, 80),
            (330 - 8 * index, 95, 370 - 8 * index, 130),
        ]
        blobs = np.array(boxes, np.float32)
        found = follower(blobs, np.ones(2, np.float32), (), index, index * NS_PER_S // FPS)
        ids |= {(track.id, track.velocity_px_s[0] > 0) for track in found}
    assert ids == {(-1, True), (-2, False)}


def field(
    left_px: Callable[[int], float], *, light: Callable[[int], int] = lambda _: 128
) -> Iterator[Frame]:
    """12 s of a grey scene with a dark blob of 60x40 pixels."""
    for index in range(12 * FPS):
        planes = tuple(np.full((480 // s, 640 // s), 128, np.uint8) for s in (1, 2, 2))
        planes[0][:] = light(index)
        left = round(left_px(index)) // 2 * 2
        if 0 <= left < 580:
            planes[0][200:240, left : left + 60] = 40
        main = Picture(PixelFormat.I420, planes)
        at_ns = NS_PER_S + index * NS_PER_S // FPS
        yield Frame(index, at_ns, at_ns, luma_of(main, 320), main)


def events(frames: Iterator[Frame], rule: TriggerRule = RULE) -> list[TriggerEvent]:
    settings = Settings(triggers=(rule, TriggerRule(name="person", labels=("person",))))
    pipeline = build_pipeline(settings, build_detector(settings), INFO)
    return [event for frame in frames for event in pipeline(frame).events]


def test_an_object_that_the_model_does_not_know_triggers_once() -> None:
    (event,) = events(field(lambda n: (n - 50) * 8))
    assert event.rule.name == "unknown"
    assert event.track.label == MOTION_LABEL
    assert event.track.id < 0
    x0, y0, x1, y1 = event.best.box_xyxy
    assert (y0, y1) == pytest.approx((200, 240), abs=12)
    assert x1 - x0 == pytest.approx(60, abs=24)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (TriggerRule(name="unknown", labels=(MOTION_LABEL,), min_duration_s=4), 1),
        (TriggerRule(name="unknown", labels=(MOTION_LABEL,), min_duration_s=11), 0),
        (TriggerRule(name="unknown", labels=(MOTION_LABEL,), min_height=0.2), 0),
        (TriggerRule(name="any"), 0),  # means any label of the model
    ],
)
def test_the_conditions_of_a_rule_hold_for_motion_too(rule: TriggerRule, expected: int) -> None:
    assert len(events(field(lambda n: (n - 50) * 8), rule)) == expected


def test_a_branch_and_a_change_of_light_trigger_nothing() -> None:
    assert events(field(lambda n: 300 + 14 * np.sin(n / FPS * 2 * np.pi / 1.7))) == []
    assert events(field(lambda _: -1, light=lambda n: 60 if n > 60 else 128)) == []
    assert events(field(lambda _: -1, light=lambda n: 128 + n % 20)) == []
