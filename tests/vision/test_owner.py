"""A track that another object takes over, noticed by the colours in its boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edge.config.schema import TrackerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.colours import histograms
from edge.vision.owner import UNKNOWN, Owner, distance
from edge.vision.picture import Picture, PixelFormat
from edge.vision.tracker import Tracker
from edge.vision.types import Detections

SIZE = (320, 240)
BOX = (100.0, 60.0, 140.0, 160.0)
RED, BLUE = (170, 40, 40), (40, 40, 170)


def person(coat: tuple[int, int, int], noise: int = 0) -> Picture:
    """A coat above grey trousers, in a grey scene."""
    random = np.random.default_rng(noise)
    rgb = np.full((SIZE[1], SIZE[0], 3), 120, np.int16)
    rgb[60:160, 100:140] = coat
    rgb[115:160, 100:140] = 70
    rgb += random.normal(0, 4, rgb.shape).astype(np.int16)
    return Picture(PixelFormat.RGB, (np.clip(rgb, 0, 255).astype(np.uint8),))


def colours(picture: Picture) -> np.ndarray:
    (histogram,) = histograms(picture, np.array([BOX], np.float32))
    return histogram


def owner(*pictures: Picture) -> Owner:
    first, *others = map(colours, pictures)
    one = Owner(first)
    for other in others:
        one.update(other)
    return one


def test_a_histogram_has_length_1_and_differs_little_with_noise() -> None:
    first, again, other = colours(person(RED)), colours(person(RED, 1)), colours(person(BLUE))
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-3)
    assert distance(first, again) < 0.4 < distance(first, other)


def test_two_looks_that_agree_on_other_colours_are_a_takeover() -> None:
    assert owner(person(RED), person(RED, 1)).takeovers == 0
    assert owner(person(RED), person(BLUE, 1)).takeovers == 0
    assert owner(person(RED), person(BLUE, 1), person(BLUE, 2)).takeovers == 1


def test_one_look_with_other_colours_is_not_a_takeover() -> None:
    """Somebody may pass in front of the object."""
    assert owner(person(RED), person(BLUE, 1), person(RED, 2), person(BLUE, 3)).takeovers == 0


def test_an_object_that_another_track_followed_is_not_new() -> None:
    one = owner(person(RED), person(BLUE, 1))
    one.update(colours(person(BLUE, 2)), known=[UNKNOWN, colours(person(BLUE, 3))])
    assert one.takeovers == 0


def test_unknown_colours_decide_nothing() -> None:
    one = Owner(UNKNOWN)
    one.update(colours(person(RED)))
    one.update(np.zeros_like(colours(person(RED))))
    assert one.takeovers == 0


@pytest.mark.parametrize("box", [(0, 0, 3, 3), (-50, -50, -1, -1), (318, 238, 340, 260)])
def test_a_box_with_too_few_pixels_has_unknown_colours(box: tuple[int, ...]) -> None:
    (histogram,) = histograms(person(RED), np.array([box], np.float32))
    assert not histogram.any()


def test_a_snapshot_of_a_track_tells_its_takeovers() -> None:
    tracker = Tracker(TrackerSettings(), ("person",), 0.5, SIZE)
    crop = np.array([[0, 0, *SIZE]], np.float32)
    for index, coat in enumerate((RED, RED, BLUE, BLUE)):
        tracker.predict(NS_PER_S + index * NS_PER_S // 10)
        found = Detections(
            np.array([BOX], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int64)
        )
        tracker.update(found, crop, index, [colours(person(coat, index))])
    (track,) = tracker.tracks()
    assert track.takeovers == 1


def test_tracks_that_exchange_their_objects_show_no_new_ones() -> None:
    tracker = Tracker(TrackerSettings(), ("person",), 0.5, SIZE)
    boxes = np.array([BOX, (200, 60, 240, 160)], np.float32)
    for index, coats in enumerate([(RED, BLUE)] * 2 + [(BLUE, RED)] * 2):
        tracker.predict(NS_PER_S + index * NS_PER_S // 10)
        found = Detections(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
        shown = [colours(person(coat, index)) for coat in coats]
        tracker.update(found, np.array([[0, 0, *SIZE]], np.float32), index, shown)
    assert [track.takeovers for track in tracker.tracks()] == [0, 0]
