"""Budget and order of looks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import SchedulerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.scheduler import Reason, Scheduler
from edge.vision.types import Look, Track, TrackState

NOTHING = np.zeros((0, 4), np.float32)
BLOB = np.array([[500, 100, 540, 200]], np.float32)
BUSY = np.ones(1, np.float32)


def scheduler(**settings: float) -> Scheduler:
    return Scheduler(SchedulerSettings(**settings))  # type: ignore[arg-type]


def track(track_id: int, state: TrackState, looked_s: float, x: float = 100) -> Track:
    box = (x, 100.0, x + 40, 200.0)
    looks = (Look(0, round(looked_s * NS_PER_S), box, 0.9, "person"),)
    return Track(track_id, "person", 0.9, box, (0, 0), state, 0, looks[0].timestamp_ns, looks=looks)


@given(
    rate=st.floats(0.5, 30),
    burst=st.integers(1, 10),
    steps_s=st.lists(st.floats(0.01, 1), min_size=20, max_size=100),
)
def test_the_budget_is_kept_however_greedy_the_frames(
    rate: float, burst: int, steps_s: list[float]
) -> None:
    greedy = scheduler(invocations_per_s=rate, burst=burst)
    now_s, spent = 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        greedy.refill(round(now_s * NS_PER_S))
        while greedy.affords():
            greedy.spend()
            spent += 1
    elapsed_s = now_s - steps_s[0]
    assert spent <= burst + rate * elapsed_s + 1e-3
    assert spent >= min(burst, 1)


def test_the_whole_picture_is_due_at_first_after_a_change_and_for_the_sweep() -> None:
    plan = scheduler(sweep_s=60)
    assert plan.whole_is_due(0, False)
    assert not plan.whole_is_due(1 * NS_PER_S, False)
    assert plan.whole_is_due(2 * NS_PER_S, True)
    assert not plan.whole_is_due(61 * NS_PER_S, False)
    assert plan.whole_is_due(62 * NS_PER_S, False)


def test_without_sweep_only_a_change_asks_for_the_whole_picture() -> None:
    plan = scheduler(sweep_s=0)
    assert plan.whole_is_due(0, False)
    assert not plan.whole_is_due(10_000 * NS_PER_S, False)


def test_new_motion_goes_before_tracks_and_unsure_ones_before_sure_ones() -> None:
    tracks = [
        track(1, TrackState.STATIONARY, 0, x=100),
        track(2, TrackState.MOVING, 0, x=200),
        track(3, TrackState.TENTATIVE, 0, x=300),
    ]
    subjects = scheduler().subjects(BLOB, BUSY, tracks, 10 * NS_PER_S)
    assert [s.reason for s in subjects] == [
        Reason.MOTION, Reason.TENTATIVE, Reason.MOVING, Reason.STANDING,
    ]  # fmt: skip
    assert all(subject.due for subject in subjects)


def test_motion_within_a_fresh_track_needs_no_look() -> None:
    known = [track(1, TrackState.MOVING, 10, x=500)]
    subjects = scheduler().subjects(BLOB, BUSY, known, 10 * NS_PER_S + 1)
    assert not any(subject.due for subject in subjects)


@pytest.mark.parametrize(
    ("state", "waited_s", "due"),
    [
        (TrackState.MOVING, 0.39, False),
        (TrackState.MOVING, 0.41, True),
        (TrackState.STATIONARY, 2.9, False),
        (TrackState.STATIONARY, 3.1, True),
        (TrackState.TENTATIVE, 0.21, True),
    ],
)
def test_tracks_are_due_in_their_time(state: TrackState, waited_s: float, due: bool) -> None:
    plan = scheduler(relook_s=0.4, standing_relook_s=3.0)
    now_ns = round((10 + waited_s) * NS_PER_S)
    (subject,) = plan.subjects(NOTHING, np.zeros(0, np.float32), [track(1, state, 10)], now_ns)
    assert subject.due is due


def test_a_place_that_was_empty_rests_and_longer_each_time() -> None:
    plan = scheduler(empty_relook_s=1.0)
    box = tuple(BLOB[0].tolist())

    def looks_in(start_s: float, end_s: float) -> int:
        count = 0
        for tenth in range(round(start_s * 10), round(end_s * 10)):
            now_ns = tenth * NS_PER_S // 10
            for _ in plan.subjects(BLOB, BUSY, [], now_ns):
                plan.note_empty(box, now_ns)
                count += 1
        return count

    assert looks_in(0, 3) == 2  # at 0 and 1 s, then in 2 s
    assert looks_in(3, 33) <= 6
    plan.note_found(box)
    assert looks_in(33, 33.1) == 1
