"""A pipeline whose frames change their size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge.config.schema import Settings, TriggerRule, Zone
from edge.vision.picture import Picture, PixelFormat
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.sizes import SizeWatch
from edge.vision.types import Detections, Frame, TrackState

LARGE, SMALL = (640, 480), (320, 240)
LEFT = Zone("left", ((0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0)))
RULE = TriggerRule("person", labels=("person",), zones=("left",), confirm=1, of_last=1,
                   cooldown_s=1.0)  # fmt: skip


class Finder:
    """Finds one person in the middle of the canvas."""

    labels = ("person",)
    groups = ("",)
    min_score, weak_score = 0.5, 0.25
    input_size = (320, 320)

    def detect(self, _canvas: npt.NDArray[np.uint8], _min_score: float | None = None) -> Detections:
        box = np.array([[130, 100, 190, 200]], np.float32)
        return Detections(box, np.array([0.95], np.float32), np.zeros(1, np.int64))


def frame(index: int, size: tuple[int, int]) -> Frame:
    width, height = size
    luma = np.full((height, width), 100 + 40 * (index % 2), np.uint8)
    half = np.full((height // 2, width // 2), 128, np.uint8)
    picture = Picture(PixelFormat.I420, (luma, half, half))
    small = luma[: height * 160 // width, :160].copy()
    return Frame(index, index * 100_000_000, index * 100_000_000, small, picture)


def played(sizes: list[tuple[int, int]]) -> list[Analysis]:
    settings = Settings(zones=(LEFT,), triggers=(RULE,))
    pipeline = Pipeline(settings, Finder(), (120, 160), sizes[0])
    return [pipeline(frame(index, size)) for index, size in enumerate(sizes)]


@pytest.mark.parametrize(("before", "after"), [(SMALL, LARGE), (LARGE, SMALL)])
def test_tracks_end_with_their_boxes_in_the_new_size_and_zones_apply_to_it(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    analyses = played([before] * 15 + [after] * 15)
    first, second = analyses[:15], analyses[15:]
    (old,) = {track.id for track in first[-1].tracks}
    (ended,) = second[0].ended
    assert (ended.id, ended.state) == (old, TrackState.GONE)
    assert ended.box_xyxy[2] == pytest.approx(
        first[-1].tracks[0].box_xyxy[2] * after[0] / before[0], rel=0.1
    )
    assert all(track.id > old for analysis in second for track in analysis.tracks)
    events = [event for analysis in second for event in analysis.events]
    assert events[0].zones == ("left",)
    assert all(event.frame.main.width == after[0] for event in events)
    for analysis in second:
        assert (analysis.detections.boxes_xyxy <= (*after, *after)).all()


def test_a_cooldown_goes_on_after_a_change() -> None:
    analyses = played([SMALL] * 2 + [LARGE] * 20)
    times_ns = [event.timestamp_ns for a in analyses for event in a.events]
    assert len(times_ns) >= 1
    assert np.diff(times_ns).min(initial=1_000_000_000) >= 1_000_000_000


def test_the_watch_names_both_sizes_once() -> None:
    sizes = SizeWatch(SMALL, (160, 120))
    assert not sizes.changed(frame(0, SMALL))
    assert sizes.changed(frame(1, LARGE))
    assert sizes.sentence("c") == "source c: its picture changed from 320x240 to 640x480 pixels"
    assert not sizes.changed(frame(2, LARGE))
