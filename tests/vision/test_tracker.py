"""Tracks keep their identity, label and state over time."""

from __future__ import annotations

import numpy as np
import pytest

from edge.config.schema import LOOKS_KEPT, TrackerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.tracker import Tracker
from edge.vision.types import Detections, TrackState

SIZE = (1000, 600)
WHOLE = np.array([[0, 0, *SIZE]], np.float32)
NOWHERE = np.zeros((0, 4), np.float32)


def detections_of(*rows: tuple[float, float, float, float, float], label: int = 0) -> Detections:
    """Detections from rows of x0, y0, x1, y1 and score."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.full(len(table), label, np.int64))


def walker(t_s: float, speed: float = 50.0) -> tuple[float, float, float, float, float]:
    x = 100 + speed * t_s
    return (x, 200, x + 40, 300, 0.9)


class Clip:
    """Feeds a tracker frame by frame at 10 frames per second."""

    def __init__(self, **settings: float) -> None:
        self.tracker = Tracker(TrackerSettings(**settings), ("person", "dog"), 0.5, SIZE)  # type: ignore[arg-type]
        self.index = 0

    @property
    def t_s(self) -> float:
        return self.index / 10

    def frame(self, detections: Detections | None = None, crops: np.ndarray = WHOLE) -> list[int]:
        """Returns track ids. detections: None without an invocation. crops: examined places."""
        self.tracker.predict(self.index * NS_PER_S // 10)
        ids: list[int] = []
        if detections is not None:
            ids = self.tracker.update(detections, crops, self.index).tolist()
        self.index += 1
        return ids


def test_no_detections_make_no_tracks() -> None:
    clip = Clip()
    assert clip.frame(detections_of()) == []
    assert clip.tracker.tracks() == ()


def test_a_track_is_confirmed_by_its_second_look() -> None:
    clip = Clip(confirm_looks=2, sure_score=0.95)
    clip.frame(detections_of(walker(0)))
    assert clip.tracker.tracks()[0].state is TrackState.TENTATIVE
    clip.frame(detections_of(walker(0.1)))
    assert clip.tracker.tracks()[0].state is not TrackState.TENTATIVE


def test_one_look_with_a_high_score_confirms_a_track() -> None:
    clip = Clip(confirm_looks=2, sure_score=0.85)
    clip.frame(detections_of(walker(0)))
    assert clip.tracker.tracks()[0].state is not TrackState.TENTATIVE


def test_identity_is_kept_through_ten_missed_looks() -> None:
    clip = Clip(max_misses=10)
    for _ in range(10):
        first = clip.frame(detections_of(walker(clip.t_s)))
    for _ in range(10):
        clip.frame(detections_of())
    assert clip.tracker.tracks()[0].misses == 10
    assert clip.frame(detections_of(walker(clip.t_s))) == first
    assert clip.tracker.tracks()[0].misses == 0


def test_an_eleventh_missed_look_ends_the_track_once() -> None:
    clip = Clip(max_misses=10)
    for _ in range(3):
        clip.frame(detections_of(walker(clip.t_s)))
    for _ in range(11):
        clip.frame(detections_of())
    assert clip.tracker.tracks() == ()
    (ended,) = clip.tracker.take_ended()
    assert ended.state is TrackState.GONE
    assert clip.tracker.take_ended() == ()


def test_frames_without_a_look_do_not_count_as_misses() -> None:
    clip = Clip(max_misses=1)
    for _ in range(5):
        clip.frame(detections_of(walker(clip.t_s)))
    for _ in range(20):
        clip.frame()
    elsewhere = np.array([[700, 0, 1000, 300]], np.float32)
    clip.frame(detections_of(), crops=elsewhere)
    assert clip.tracker.tracks()[0].misses == 0


def test_the_box_keeps_moving_between_looks() -> None:
    clip = Clip()
    for _ in range(20):
        clip.frame(detections_of(walker(clip.t_s)))
    for _ in range(10):
        clip.frame()
    expected = walker(clip.t_s - 0.1)[:4]
    assert clip.tracker.tracks()[0].box_xyxy == pytest.approx(expected, abs=5)
    assert clip.tracker.tracks()[0].velocity_px_s == pytest.approx((50, 0), abs=5)


def test_two_objects_that_cross_keep_their_identities() -> None:
    clip = Clip()
    ids = []
    for _ in range(60):
        x = 100 + 60 * clip.t_s
        left, right = (x, 200, x + 40, 300, 0.9), (500 - x, 230, 540 - x, 340, 0.9)
        ids.append(clip.frame(detections_of(left, right)))
    assert ids[-1] == ids[0]
    assert len(clip.tracker.tracks()) == 2


def test_a_weak_detection_continues_a_track_but_does_not_start_one() -> None:
    clip = Clip()
    weak = (*walker(0)[:4], 0.3)
    assert clip.frame(detections_of(weak)) == [0]
    assert clip.tracker.tracks() == ()
    (track_id,) = clip.frame(detections_of(walker(0)))
    assert clip.frame(detections_of(weak)) == [track_id]


def test_the_label_is_the_one_with_the_most_votes() -> None:
    clip = Clip()
    for _ in range(4):
        clip.frame(detections_of(walker(clip.t_s)))
    clip.frame(detections_of(walker(clip.t_s), label=1))
    assert clip.tracker.tracks()[0].label == "person"
    for _ in range(8):
        clip.frame(detections_of(walker(clip.t_s), label=1))
    assert clip.tracker.tracks()[0].label == "dog"


def test_standing_and_moving_objects_have_different_states() -> None:
    clip = Clip()
    standing = (600, 200, 640, 300, 0.9)
    for _ in range(30):
        clip.frame(detections_of(walker(clip.t_s), standing))
    moving, still = clip.tracker.tracks()
    assert (moving.state, still.state) == (TrackState.MOVING, TrackState.STATIONARY)
    assert moving.has_moved
    assert not still.has_moved


def test_a_track_that_leaves_the_picture_ends() -> None:
    clip = Clip()
    for _ in range(10):
        clip.frame(detections_of(walker(clip.t_s, speed=-80)))
    for _ in range(20):
        clip.frame()
    assert clip.tracker.tracks() == ()
    assert len(clip.tracker.take_ended()) == 1


def test_a_track_without_detections_ends_after_max_unseen_s() -> None:
    clip = Clip(max_unseen_s=2.0)
    for _ in range(3):
        clip.frame(detections_of((600, 200, 640, 300, 0.9)))
    for _ in range(21):
        clip.frame(detections_of(), crops=NOWHERE)
    assert clip.tracker.tracks() == ()


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_jump_is_ignored_while_another_track_overlaps(overlaps: bool) -> None:
    tracker = Tracker(TrackerSettings(confirm_looks=1), ("person",), 0.5, SIZE)
    other = (walker(1.0),) if overlaps else ()  # stands at the place that the first object reaches
    for index in range(6):
        tracker.predict(index * NS_PER_S // 10)
        tracker.update(detections_of(walker(index / 10), *other), WHOLE, index)
    assert len(tracker.tracks()) == 1 + overlaps
    before = tracker.tracks()[0].box_xyxy
    shifts = np.zeros((1 + overlaps, 2), np.float32)
    shifts[0] = -40, 0
    tracker.predict(6 * NS_PER_S // 10, shifts)
    moved_px = tracker.tracks()[0].box_xyxy[0] - before[0]
    assert moved_px == pytest.approx(5 if overlaps else -40, abs=1)


def test_an_observed_shift_replaces_the_prediction() -> None:
    tracker = Tracker(TrackerSettings(confirm_looks=1), ("person",), 0.5, SIZE)
    for index in range(6):  # walks to the right at 50 px/s
        tracker.predict(index * NS_PER_S // 10)
        tracker.update(detections_of(walker(index / 10)), WHOLE, index)
    before = tracker.tracks()[0].box_xyxy
    tracker.predict(6 * NS_PER_S // 10, np.array([[-8, 3]], np.float32))
    after = tracker.tracks()[0]
    assert after.box_xyxy == pytest.approx(
        [before[0] - 8, before[1] + 3, before[2] - 8, before[3] + 3], abs=1e-3
    )
    assert after.velocity_px_s[0] < 25
    tracker.predict(7 * NS_PER_S // 10, np.array([[np.nan, np.nan]], np.float32))
    assert tracker.tracks()[0].box_xyxy != after.box_xyxy  # predicted without an observed shift


def test_a_track_remembers_as_many_looks_as_a_rule_may_ask_for() -> None:
    clip = Clip()
    for _ in range(LOOKS_KEPT + 4):
        clip.frame(detections_of(walker(clip.t_s)))
    (track,) = clip.tracker.tracks()
    assert len(track.looks) == LOOKS_KEPT
    assert track.looks[-1].frame_index == LOOKS_KEPT + 3


def test_labels_of_a_group_vote_together() -> None:
    """A deer that a model without deer calls sheep, bear and, more often than either, person."""
    labels, groups = ("person", "sheep", "bear"), ("", "animal", "animal")
    tracker = Tracker(TrackerSettings(), labels, 0.5, SIZE, groups)
    for index, class_id in enumerate((1, 0, 2, 0, 1, 2)):
        tracker.predict(index * NS_PER_S // 10)
        tracker.update(detections_of(walker(0), label=class_id), WHOLE, index)
    (track,) = tracker.tracks()
    assert (track.label, track.group) == ("bear", "animal")
    assert Tracker(TrackerSettings(), labels, 0.5, SIZE).tracks() == ()
