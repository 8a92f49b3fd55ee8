"""Budget and order of invocations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import SchedulerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.scheduler import MotionOutcome, Plan, Reason, Scheduler, Subject
from edge.vision.types import Look, Track, TrackState

NO_BLOBS = np.zeros((0, 4), np.float32)
BLOB = np.array([[500, 100, 540, 200]], np.float32)


def scheduler(**settings: float) -> Scheduler:
    return Scheduler(SchedulerSettings(**settings))  # type: ignore[arg-type]


def plan(
    planner: Scheduler,
    now_s: float,
    blobs: np.ndarray = NO_BLOBS,
    tracks: Sequence[Track] = (),
    scene_change: bool = False,
) -> Plan:
    activity = np.ones(len(blobs), np.float32)
    now_ns = round(now_s * NS_PER_S)
    return planner.plan(now_ns, blobs, activity, tracks, scene_change=scene_change)


def subjects(
    planner: Scheduler, now_s: float, blobs: np.ndarray, tracks: Sequence[Track]
) -> list[Subject]:
    return plan(planner, now_s, blobs, tracks).subjects


def track(
    track_id: int,
    state: TrackState,
    looked_s: float,
    x: float = 100,
    scores: tuple[float, ...] = (0.9, 0.9, 0.9),
) -> Track:
    """A track whose last look was at `looked_s`; a score of 0 is a miss."""
    box = (x, 100.0, x + 40, 200.0)
    looked_ns = round(looked_s * NS_PER_S)
    looks = tuple(Look(0, looked_ns, box, score, "person") for score in scores)
    return Track(track_id, "person", 0.9, box, (0, 0), state, 0, looked_ns, looks=looks)


@given(
    rate=st.floats(0.5, 30),
    burst=st.integers(1, 10),
    share=st.floats(0.1, 1),
    steps_s=st.lists(st.floats(0.01, 1), min_size=20, max_size=100),
)
def test_the_budget_is_kept_when_every_frame_has_motion(
    rate: float, burst: int, share: float, steps_s: list[float]
) -> None:
    greedy = scheduler(invocations_per_s=rate, burst=burst, sweep_s=0)
    now_s, spent = 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        now_ns = round(now_s * NS_PER_S)
        planned = greedy.plan(now_ns, BLOB, np.ones(1, np.float32), (), budget_share=share)
        spent += planned.invocations + planned.whole
        greedy.report(now_ns, planned.invocations + planned.whole)
    elapsed_s = now_s - steps_s[0]
    assert spent <= burst + rate * share * elapsed_s + 1e-3
    assert spent >= min(burst, 1)


def test_the_whole_picture_is_due_first_after_a_scene_change_and_for_the_sweep() -> None:
    planner = scheduler(sweep_s=60)
    assert plan(planner, 0).whole
    assert not plan(planner, 1).whole
    assert plan(planner, 2, scene_change=True).whole
    assert not plan(planner, 61).whole
    assert plan(planner, 62).whole


def test_without_a_sweep_the_whole_picture_is_due_only_after_a_scene_change() -> None:
    planner = scheduler(sweep_s=0)
    assert plan(planner, 0).whole
    assert not plan(planner, 10_000).whole


def test_an_invocation_of_the_whole_picture_may_leave_a_debt() -> None:
    planner = scheduler(sweep_s=0, burst=1, invocations_per_s=1.0)
    planner.report(0, plan(planner, 0).invocations + 1)  # the first frame, and one more
    changed = plan(planner, 0.1, BLOB, scene_change=True)
    assert (changed.whole, changed.invocations) == (True, 0)
    planner.report(round(0.1 * NS_PER_S), 1)
    assert plan(planner, 1.0, BLOB).invocations == 0
    assert plan(planner, 2.1, BLOB).invocations == 1


def test_new_motion_comes_before_tracks_and_tentative_tracks_before_confirmed_ones() -> None:
    tracks = [
        track(1, TrackState.STATIONARY, 0, x=100),
        track(2, TrackState.MOVING, 0, x=200),
        track(3, TrackState.TENTATIVE, 0, x=300),
    ]
    due_subjects = subjects(scheduler(), 10, BLOB, tracks)
    assert [s.reason for s in due_subjects] == [
        Reason.MOTION, Reason.TENTATIVE, Reason.MOVING, Reason.STANDING,
    ]  # fmt: skip
    assert all(subject.due for subject in due_subjects)


def test_motion_inside_a_recently_examined_track_needs_no_invocation() -> None:
    tracks = [track(1, TrackState.MOVING, 10, x=500)]
    assert not any(subject.due for subject in subjects(scheduler(), 10.000000001, BLOB, tracks))


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
def test_a_track_is_due_after_the_period_of_its_state(
    state: TrackState, waited_s: float, due: bool
) -> None:
    planner = scheduler(relook_s=0.4, standing_relook_s=3.0)
    (subject,) = subjects(planner, 10 + waited_s, NO_BLOBS, [track(1, state, 10)])
    assert subject.due is due


@pytest.mark.parametrize(
    ("agreeing", "scores", "at_once"),
    [
        (2, (0.99,), True),
        (2, (0.99, 0.0), True),
        (2, (0.99, 0.0, 0.0), False),
        (2, (0.99, 0.9), False),
        (3, (0.99, 0.9), True),
        (3, (0.99, 0.9, 0.9), False),
        (16, (0.9,) * 15, False),  # no more looks are kept than that
    ],
)
def test_a_new_track_is_examined_at_the_next_frame_until_enough_looks_agree(
    agreeing: int, scores: tuple[float, ...], at_once: bool
) -> None:
    planner = Scheduler(SchedulerSettings(relook_s=0.4), agreeing)
    new = track(1, TrackState.MOVING, 10, scores=scores)
    due = [subject for subject in subjects(planner, 10.04, NO_BLOBS, [new]) if subject.due]
    assert [subject.reason for subject in due] == [Reason.TENTATIVE] * at_once


def test_only_subjects_that_are_nearly_due_fill_free_cells() -> None:
    planner = scheduler(relook_s=1.0)
    assert subjects(planner, 10.49, NO_BLOBS, [track(1, TrackState.MOVING, 10)]) == []
    assert len(subjects(planner, 10.51, NO_BLOBS, [track(1, TrackState.MOVING, 10)])) == 1


def test_an_empty_place_is_paused_for_longer_each_time() -> None:
    planner = scheduler(empty_relook_s=1.0)
    box = tuple(BLOB[0].tolist())

    def examined(start_s: float, end_s: float) -> int:
        count = 0
        for tenth in range(round(start_s * 10), round(end_s * 10)):
            for subject in subjects(planner, tenth / 10, BLOB, []):
                outcome = MotionOutcome(subject.box_xyxy, has_object=False)
                planner.report(tenth * NS_PER_S // 10, 0, [outcome])
                count += 1
        return count

    assert examined(0, 0.6) == 3  # at 0.0, 0.2 and 0.5 s: pauses of 1/8 and 1/4 s
    assert examined(0.6, 3) == 2  # then after 1/2 and 1 s
    assert examined(3, 33) <= 6
    planner.report(33 * NS_PER_S, 0, [MotionOutcome(box, has_object=True)])
    assert examined(33, 33.1) == 1


def test_a_place_is_examined_in_another_view_before_it_becomes_background() -> None:
    """An object that stands still would get the same answer from the same crop."""
    planner = scheduler(empty_relook_s=1.0)
    (first,) = planner.plan(0, BLOB, np.zeros(1, np.float32), ()).subjects
    assert (first.is_ghost, first.view_xyxy) == (False, first.box_xyxy)
    planner.report(0, 1, [MotionOutcome(first.box_xyxy, has_object=False)])
    (again,) = planner.plan(NS_PER_S, BLOB, np.zeros(1, np.float32), ()).subjects
    assert again.is_ghost
    assert again.box_xyxy == first.box_xyxy
    assert again.view_xyxy[0] < first.box_xyxy[0]
    (moving,) = planner.plan(NS_PER_S, BLOB, np.ones(1, np.float32), ()).subjects
    assert not moving.is_ghost


def passing(second: float) -> np.ndarray:
    """A blob that moves by more than its own width in a second, such as a car."""
    x = 20 + 60 * second
    return np.array([[x, 100, x + 50, 130]], np.float32)


def test_a_blob_without_an_object_is_paused_wherever_it_goes() -> None:
    planner = scheduler(empty_relook_s=1.0, sweep_s=0)
    looked = []
    for frame in range(80):
        for subject in subjects(planner, frame / 10, passing(frame / 10), []):
            looked.append(frame / 10)
            outcome = MotionOutcome(subject.box_xyxy, has_object=False)
            planner.report(frame * NS_PER_S // 10, 0, [outcome])
    assert looked == [0.0, 0.2, 0.5, 1.0, 2.0, 4.0]


def test_a_newcomer_beside_a_paused_blob_is_examined_at_once() -> None:
    planner = scheduler(empty_relook_s=1.0, sweep_s=0)
    for frame in range(19):
        for subject in subjects(planner, frame / 10, passing(frame / 10), []):
            outcome = MotionOutcome(subject.box_xyxy, has_object=False)
            planner.report(frame * NS_PER_S // 10, 0, [outcome])
    both = np.concatenate([passing(1.9), BLOB])
    (newcomer,) = subjects(planner, 1.9, both, [])
    assert newcomer.box_xyxy == tuple(BLOB[0].tolist())
