"""The stages together, on real footage with ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.config.schema import PrivacySettings, SchedulerSettings, Settings, SourceSettings
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.sources.views import luma_of
from edge.vision.build import build_detector, build_pipeline
from edge.vision.geometry import iou
from edge.vision.picture import Picture, PixelFormat
from edge.vision.pipeline import Analysis
from edge.vision.types import Frame, SourceInfo, TrackState

BRANCH_FPS = 10
BRANCH_INFO = SourceInfo("branch", (640, 480), (320, 240), BRANCH_FPS, live=False)


def branch(index: int) -> Frame:
    """A frame with a dark bar that swings at one place in a grey scene."""
    planes = tuple(np.full((480 // step, 640 // step), 128, np.uint8) for step in (1, 2, 2))
    left = 300 + round(20 * np.sin(index / BRANCH_FPS * 2 * np.pi / 1.7)) // 2 * 2
    planes[0][100:220, left : left + 24] = 40
    main = Picture(PixelFormat.I420, planes)
    timestamp_ns = NS_PER_S + index * NS_PER_S // BRANCH_FPS
    return Frame(index, timestamp_ns, timestamp_ns, luma_of(main, 320), main)


def analyses(uri: object, settings: Settings | None = None) -> list[Analysis]:
    settings = settings or Settings()
    source = open_source(SourceSettings(uri=str(uri), fast=True), masks=settings.privacy.masks)
    info = source.open()
    pipeline = build_pipeline(settings, build_detector(settings), info)
    results: list[Analysis] = []
    while (frame := source.read()) is not None:
        results.append(pipeline(frame))
    source.close()
    return results


def truth(path: Path) -> dict[int, np.ndarray]:
    table = np.loadtxt(path, delimiter=",")
    table[:, 4:6] += table[:, 2:4]
    return {int(n) - 1: table[table[:, 0] == n][:, 2:6].astype(np.float32) for n in table[:, 0]}


def test_people_are_tracked_on_every_frame_for_half_an_invocation(shared_data: Path) -> None:
    results = analyses(shared_data / "vtest.avi")
    people = truth(shared_data / "PETS09-S2L1.gt.txt")
    right = shown = real_count = 0
    for index, analysis in enumerate(results):
        boxes = np.array(
            [t.box_xyxy for t in analysis.tracks
             if t.state is not TrackState.TENTATIVE and t.misses < 3], np.float32,
        ).reshape(-1, 4)  # fmt: skip
        real = people.get(index, np.zeros((0, 4), np.float32))
        overlap = iou(real, boxes)
        while overlap.size and overlap.max() >= 0.5:
            a, b = np.unravel_index(int(overlap.argmax()), overlap.shape)
            overlap[a], overlap[:, b] = -1, -1
            right += 1
        shown, real_count = shown + len(boxes), real_count + len(real)
    assert sum(len(a.layouts) for a in results) / len(results) <= 0.5
    assert right / shown > 0.80
    assert right / real_count > 0.75


def test_light_is_no_motion_beside_a_large_privacy_mask() -> None:
    left = ((0.0, 0.0), (0.7, 0.0), (0.7, 1.0), (0.0, 1.0))
    settings = Settings(privacy=PrivacySettings(masks=(left,)))
    results = analyses("synthetic:step?duration=12&fps=10", settings)
    assert not any(len(analysis.motion.blobs_xyxy) for analysis in results)


def test_a_still_scene_costs_one_invocation_in_50_seconds() -> None:
    results = analyses("synthetic:still?duration=50&fps=10")
    assert sum(len(a.layouts) for a in results) == 1
    assert results[0].motion.scene_change


@pytest.mark.parametrize("scene", ["step", "infrared", "drift", "flicker"])
def test_a_change_of_light_costs_few_invocations_and_triggers_nothing(scene: str) -> None:
    results = analyses(f"synthetic:{scene}?duration=20&fps=10")
    assert sum(len(a.layouts) for a in results) <= 4
    assert not any(a.events for a in results)


def test_moving_shapes_cost_at_most_the_budget_and_trigger_nothing() -> None:
    results = analyses("synthetic:walk?duration=30&fps=10")
    assert 30 < sum(len(a.layouts) for a in results) <= 5 * 30
    assert not any(a.events for a in results)


def test_a_place_where_a_branch_swings_gets_fewer_and_fewer_invocations() -> None:
    pipeline = build_pipeline(Settings(), build_detector(Settings()), BRANCH_INFO)
    invocations = [len(pipeline(branch(index)).layouts) for index in range(60 * BRANCH_FPS)]
    quarters = np.array(invocations).reshape(4, -1).sum(axis=1).tolist()
    assert quarters[0] >= 5
    assert max(quarters[2:]) <= quarters[0] / 2, quarters


@pytest.mark.parametrize("scene", ["people", "visits"])
def test_drawn_people_are_tracked_where_they_are(scene: str) -> None:
    """The whole pipeline can be tried without a camera and without footage."""
    results = analyses(f"synthetic:{scene}?duration=20&fps=10")
    drawn = SyntheticScene(scene, SceneOptions(fps=10))
    overlaps = []
    for analysis in results:
        boxes = np.array([t.box_xyxy for t in analysis.tracks], np.float32).reshape(-1, 4)
        overlaps += iou(drawn.truth(analysis.frame.index)[1], boxes).max(axis=1, initial=0).tolist()
    assert np.mean(np.array(overlaps) > 0.4) > 0.7
    assert sum(len(analysis.events) for analysis in results) >= 2


def test_a_share_of_the_budget_leaves_that_share_of_the_invocations() -> None:
    """Without pauses at empty places, the scene keeps the scheduler at the limit of its budget."""
    counts = {}
    for share in (1.0, 0.25):
        source = open_source(SourceSettings(uri="synthetic:busy?duration=20&fps=10", fast=True))
        settings = Settings(scheduler=SchedulerSettings(burst=1, sweep_s=0, empty_relook_s=0))
        pipeline = build_pipeline(settings, build_detector(settings), source.open())
        analyses = []
        while (one := source.read()) is not None:
            analyses.append(pipeline(one, share))
        counts[share] = sum(len(analysis.layouts) for analysis in analyses)
    assert counts[1.0] > 40
    assert counts[0.25] == pytest.approx(counts[1.0] / 4, rel=0.3)
