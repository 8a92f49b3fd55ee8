"""All 795 frames of PETS 2009 S2.L1 against their ground truth, analysed once for all tests."""

from __future__ import annotations

from collections import Counter as Totals
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edge.config.schema import MOTION_LABEL, Line, Settings, SourceSettings, TriggerRule
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.build import build_detector, build_pipeline
from edge.vision.counting import Counter
from edge.vision.geometry import iou
from edge.vision.types import SourceInfo, Track, TrackState

PERSON = Track(1, "person", 0.9, (0, 0, 0, 0), (0, 0), TrackState.MOVING, 0, 0)
RULES = (
    TriggerRule(name="unknown", labels=(MOTION_LABEL,), cooldown_s=0, moving_only=True),
    TriggerRule(name="person", labels=("person",), cooldown_s=0),
)


@dataclass(frozen=True)
class Seen:
    """What is kept of an analysis. rules: of its events."""

    timestamp_ns: int
    tracks: tuple[Track, ...]
    invocations: int
    rules: tuple[str, ...]


@pytest.fixture(scope="module")
def pets(shared_data: Path) -> tuple[SourceInfo, list[Seen]]:
    settings = Settings(
        source=SourceSettings(uri=str(shared_data / "vtest.avi"), fast=True), triggers=RULES
    )
    source = open_source(settings.source)
    info = source.open()
    pipeline = build_pipeline(settings, build_detector(settings), info)
    found = []
    while (frame := source.read()) is not None:
        analysis = pipeline(frame)
        rules = tuple(event.rule.name for event in analysis.events)
        found.append(Seen(frame.timestamp_ns, analysis.tracks, len(analysis.layouts), rules))
    source.close()
    return info, found


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> np.ndarray:
    """Rows of frame from 0 on, id, and the box x0 y0 x1 y1."""
    table = np.loadtxt(shared_data / "PETS09-S2L1.gt.txt", delimiter=",")[:, :6]
    table[:, 0] -= 1
    table[:, 4:6] += table[:, 2:4]
    return table


def test_people_are_tracked_on_every_frame_for_half_an_invocation(
    pets: tuple[SourceInfo, list[Seen]], truth: np.ndarray
) -> None:
    _, frames = pets
    right = shown = 0
    for index, seen in enumerate(frames):
        boxes = np.array(
            [t.box_xyxy for t in seen.tracks
             if t.state is not TrackState.TENTATIVE and t.misses < 3], np.float32,
        ).reshape(-1, 4)  # fmt: skip
        overlap = iou(truth[truth[:, 0] == index][:, 2:].astype(np.float32), boxes)
        while overlap.size and overlap.max() >= 0.5:
            a, b = np.unravel_index(int(overlap.argmax()), overlap.shape)
            overlap[a], overlap[:, b] = -1, -1
            right += 1
        shown += len(boxes)
    assert sum(seen.invocations for seen in frames) / len(frames) <= 0.5
    assert right / shown > 0.80
    assert right / len(truth) > 0.75


def test_people_whom_the_detector_finds_are_no_unknown_motion(
    pets: tuple[SourceInfo, list[Seen]],
) -> None:
    rules = [rule for seen in pets[1] for rule in seen.rules]
    assert rules.count("person") > 25
    assert rules.count("unknown") <= 3


LINES = tuple(
    [Line(name=f"x{n}", points=((n / 10, 0.0), (n / 10, 1.0))) for n in range(2, 9)]
    + [Line(name=f"y{n}", points=((0.0, n / 10), (1.0, n / 10))) for n in range(3, 7)]
)


def crossings(
    frames: list[tuple[int, list[Track]]], size: tuple[int, int]
) -> Totals[tuple[str, str]]:
    counter, totals = Counter(LINES, (), size), Totals[tuple[str, str]]()
    for at_ns, tracks in frames:
        totals.update((c.line, c.direction) for c in counter(tracks, at_ns)[0])
    return totals


def test_crossings_are_counted_within_5_percent(
    pets: tuple[SourceInfo, list[Seen]], truth: np.ndarray
) -> None:
    info, frames = pets
    real = [
        (
            round(index / info.fps * NS_PER_S),
            [
                replace(PERSON, id=int(row[1]), box_xyxy=tuple(row[2:]))
                for row in truth[truth[:, 0] == index]
            ],
        )
        for index in range(len(frames))
    ]
    expected = crossings(real, info.main_size)
    counted = crossings([(seen.timestamp_ns, list(seen.tracks)) for seen in frames], info.main_size)
    assert expected.total() > 200
    assert counted.total() == pytest.approx(expected.total(), rel=0.05)
    wrong = sum(abs(expected[key] - counted[key]) for key in expected | counted)
    assert wrong < 0.1 * expected.total()
