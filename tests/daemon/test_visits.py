"""Events whose objects are followed: bursts, best stills and clips until the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.capture.request import LaterStill
from edge.capture.sidecar import FileEntry, read_sidecar
from edge.config.schema import TriggerRule
from edge.daemon.publish import capture_request
from edge.daemon.visits import MAX_VISITS, Visits
from edge.vision.motion import Motion
from edge.vision.picture import Picture
from edge.vision.pipeline import Analysis
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Detections, Frame, Look, Track, TrackState
from tests.support.captures import Captures, at, frame

MOTION = Motion(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.bool_),
    np.zeros((4, 4), np.uint8),
)
BOX = (100.0, 60.0, 180.0, 220.0)


def leased(index: int, blur_px: float = 0.0) -> Frame:
    """A frame in a camera's buffer."""
    plain = frame(index)
    luma, *chroma = plain.main.planes
    if blur_px:
        luma = np.asarray(cv2.GaussianBlur(luma, (0, 0), blur_px), np.uint8)
    return replace(plain, main=Picture(plain.main.format, (luma, *chroma)), lease=object())


def track(index: int, box: tuple[float, float, float, float] = BOX, **fields: Any) -> Track:
    """A track with a look at this frame."""
    look = Look(index, at(index), box, 0.9, "fox")
    known: dict[str, Any] = {"id": 1, "label": "fox", "state": TrackState.MOVING}
    return Track(
        score=0.9, box_xyxy=box, velocity_px_s=(0, 0), first_ns=at(0), last_seen_ns=at(index),
        looks=(look,), **(known | fields),
    )  # fmt: skip


def analysis(seen: Frame, tracks: Sequence[Track], unexplained: Sequence[Track] = ()) -> Analysis:
    nothing = Detections.empty()
    return Analysis(
        seen, MOTION, (), None, nothing, np.zeros(0, np.int64), tuple(tracks), (), (),
        unexplained=tuple(unexplained),
    )  # fmt: skip


class Rig:
    """Visits with a recorder, and the stills that they gave it."""

    def __init__(self, root: Path, max_s: float = 60.0) -> None:
        self.captures = Captures(root, clips=False)
        self.visits = Visits(self.captures.recorder, max_s)
        self.given: list[LaterStill] = []
        add = self.captures.recorder.add_still

        def keep(still: LaterStill) -> None:
            self.given.append(still)
            add(still)

        self.captures.recorder.add_still = keep  # type: ignore[method-assign]

    def begin(self, rule: TriggerRule, shown: Track, name: str = "e1") -> None:
        seen = frame(shown.looks[-1].frame_index)
        event = TriggerEvent(rule, shown, shown.looks, shown.looks[-1], seen, (), seen.timestamp_ns)
        request = capture_request(event, name, "cam0", seen, 5.0)
        assert self.captures.recorder.trigger(request)
        self.visits.begin(event, request)

    def files(self) -> list[FileEntry]:
        (path,) = {result.sidecar for result in self.captures.stills}
        sidecar = read_sidecar(path)
        assert sidecar is not None
        return sidecar.files


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    with rig.captures:
        yield rig
    assert rig.captures.errors == []


def rule(**fields: Any) -> TriggerRule:
    return TriggerRule(name="r", actions=("still",), **fields)


def finish(rig: Rig) -> list[FileEntry]:
    rig.visits.end()
    rig.captures.recorder.stop()
    return rig.files()


def test_a_burst_takes_its_stills_at_the_interval_also_when_the_object_has_left(rig: Rig) -> None:
    rig.begin(rule(burst=3, burst_interval_s=0.5), track(0))
    for n in range(1, 21):
        rig.visits(analysis(leased(n), [track(n)] if n < 8 else []))
    assert [still.frame.index for still in rig.given if still.frame] == [5, 10]
    assert [still.last for still in rig.given] == [False, True]
    files = finish(rig)
    assert [file.track is not None for file in files] == [False, True, False]


def test_a_burst_that_a_shutdown_cuts_short_keeps_what_it_has(rig: Rig) -> None:
    rig.begin(rule(burst=5), track(0))
    rig.visits(analysis(leased(10), [track(10)]))
    assert len(finish(rig)) == 2
    assert rig.captures.failures == []


def test_the_best_still_is_the_sharpest_and_largest_of_the_visit(rig: Rig) -> None:
    rig.begin(rule(best_still=True), track(0, (100, 60, 140, 140)))
    large = (60.0, 20.0, 220.0, 230.0)
    for n, blur_px in ((1, 2.0), (2, 0.0), (3, 2.0)):
        rig.visits(analysis(leased(n, blur_px), [track(n, large)]))
    cut = (-60.0, 20.0, 100.0, 230.0)
    rig.visits(analysis(leased(4), [track(4, cut)]))
    assert rig.given == [], "the object is still there"
    rig.visits(analysis(leased(5), []))
    (still,) = rig.given
    assert still.frame is not None
    assert (still.frame.index, still.frame.lease) == (2, None)
    (file,) = finish(rig)
    assert file.track is not None
    assert file.track.box_xyxy_px == large
    assert rig.captures.outcomes == [("e1", "still", "result")]


def test_a_frame_is_copied_only_when_it_is_better(rig: Rig, monkeypatch: Any) -> None:
    copied: list[int] = []
    detached = Frame.detached
    monkeypatch.setattr(Frame, "detached", lambda self: copied.append(self.index) or detached(self))
    rig.begin(rule(best_still=True), track(0))
    for n in range(1, 6):
        rig.visits(analysis(leased(n, blur_px=float(n)), [track(n)]))
    assert copied == []
    rig.visits(analysis(leased(6), [track(6, (40, 10, 240, 230))]))
    assert copied == [6]


def test_a_visit_ends_at_its_longest_time_though_the_object_stays(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_s=2.0)
    with rig.captures:
        rig.begin(rule(best_still=True), track(0))
        for n in range(1, 20):
            rig.visits(analysis(leased(n), [track(n)]))
        assert rig.given == []
        rig.visits(analysis(leased(20), [track(20)]))
        assert len(rig.given) == 1


def test_another_object_on_the_same_track_ends_the_visit(rig: Rig) -> None:
    rig.begin(rule(best_still=True), track(0))
    rig.visits(analysis(leased(1), [track(1, takeovers=1)]))
    assert len(rig.given) == 1


def test_the_objects_of_rules_on_motion_are_followed_too(rig: Rig) -> None:
    moving: dict[str, Any] = {"id": -1, "label": "motion"}
    rig.begin(rule(labels=("motion",), best_still=True), track(0, **moving))
    rig.visits(analysis(leased(1), [], [track(1, **moving)]))
    assert rig.given == []
    rig.visits(analysis(leased(2), [], []))
    assert len(rig.given) == 1


def test_only_so_many_visits_are_kept_and_each_event_gets_its_still(rig: Rig) -> None:
    for n in range(MAX_VISITS + 2):
        rig.begin(rule(best_still=True), track(n, id=n), f"e{n}")
    assert [still.event_id for still in rig.given] == ["e0", "e1"]
    rig.visits.end()
    rig.captures.recorder.stop()
    assert len(rig.captures.stills) == MAX_VISITS + 2


def test_a_burst_that_is_complete_is_followed_no_longer(rig: Rig) -> None:
    rig.begin(rule(best_still=True), track(0), "best")
    for n in range(MAX_VISITS):
        rig.begin(rule(burst=2, burst_interval_s=0.1), track(2 * n), f"e{n}")
        rig.visits(analysis(leased(2 * n + 1), [track(2 * n + 1)]))
    assert [still.event_id for still in rig.given] == [f"e{n}" for n in range(MAX_VISITS)]


def test_no_still_is_taken_and_no_clip_lengthened_while_a_person_is_in_view(rig: Rig) -> None:
    person = track(0, id=2, label="person")
    settings = {"unless": ("person",), "burst_interval_s": 0.1}
    rig.begin(rule(burst=3, **settings), track(0))
    rig.visits(analysis(leased(1), [track(1), person]))
    rig.visits(analysis(leased(2), [track(2)]))
    assert [still.frame.index for still in rig.given if still.frame] == [2]
    rig.begin(rule(best_still=True, **settings), track(3), "e2")
    rig.visits(analysis(leased(4), [track(4, (40, 10, 240, 230)), person]))
    rig.visits(analysis(leased(5), []))
    assert rig.given[-1].frame is not None
    assert rig.given[-1].frame.index == 3


def test_a_clip_follows_its_object(rig: Rig) -> None:
    asked = TriggerRule(name="r", actions=("clip",), clip_until_end=True, unless=("person",))
    shown = track(0)
    event = TriggerEvent(asked, shown, shown.looks, shown.looks[0], frame(0), (), at(0))
    request = capture_request(event, "e1", "cam0", frame(0), 5.0)
    presence = request.presence
    assert presence is not None
    rig.visits.begin(event, request)
    rig.visits(analysis(leased(10), [track(0)]))
    assert (presence.until_ns, presence.ended) == (at(10), False)
    rig.visits(analysis(leased(11), [track(0), track(0, id=2, label="person")]))
    assert presence.until_ns == at(10)
    rig.visits(analysis(leased(12), []))
    assert (presence.until_ns, presence.ended) == (at(10), True)


def test_real_footage_gives_bursts_best_stills_and_clips_until_the_end(
    shared_data: Path, tmp_path: Path
) -> None:
    rules = (
        "[{name='series', labels=['person'], actions=['still'], burst=3, burst_interval_s=0.5},"
        " {name='best', labels=['person'], actions=['still'], best_still=true},"
        " {name='long', labels=['person'], actions=['clip'], clip_until_end=true}]"
    )
    command = [sys.executable, "-m", "edge.cli", "run", "--fast", "--source",
               str(shared_data / "TUD-Campus.mp4"), "--capture-dir", str(tmp_path / "captures"),
               "--endpoint", f"ipc://{tmp_path}/e.ipc", "--set", f"triggers={rules}",
               "--set", "capture.post_roll_s=0", "--set", "capture.pre_roll_s=0"]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    sidecars = [read_sidecar(path) for path in (tmp_path / "captures").rglob("*.json")]
    files = {one.events[0].rule: one.files for one in sidecars if one is not None}
    times = [datetime.fromisoformat(file.time) for file in files["series"]]
    steps_s = [(time - times[0]).total_seconds() for time in times]
    assert steps_s == pytest.approx([0, 0.5, 1.0], abs=0.04)  # the film has 25 frames/s
    lefts = [file.track.box_xyxy[0] for file in files["series"][1:] if file.track]
    assert lefts == sorted(lefts)  # the person walks to the right
    assert len(lefts) == 2
    (best,) = files["best"]
    assert best.track is not None
    (clip,) = files["long"]
    assert (clip.duration_s or 0) > 2  # without any roll before or after


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"burst": 2, "best_still": True, "actions": ("still",)}, "burst"),
        ({"burst": 2, "actions": ("clip",)}, "burst"),
        ({"best_still": True, "actions": ("clip",)}, "best_still"),
        ({"clip_until_end": True, "actions": ("still",)}, "clip_until_end"),
    ],
)
def test_settings_of_captures_that_contradict_are_problems(
    settings: dict[str, Any], key: str
) -> None:
    assert [problem for problem, _ in TriggerRule(name="r", **settings).problems()] == [key]
