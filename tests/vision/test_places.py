"""Places that trigger again and again, and people who walk through a muted one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.config.schema import Mute, Settings, SourceSettings, TriggerRule
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.build import build_detector, build_pipeline
from edge.vision.geometry import Box
from edge.vision.places import MAX_PLACES, REMEMBERED_S, REPEATS, Place, Places
from edge.vision.triggers import TriggerEvent, Triggers
from edge.vision.types import Frame, Look, Track, TrackState
from tests.support.captures import picture

SIZE = (1000, 500)
RULE = TriggerRule(name="r", labels=("person",), cooldown_s=0.0)
BALLOON = (100.0, 300.0, 150.0, 400.0)


def seen(
    places: Places,
    number: int,
    box: Box = BALLOON,
    rule: str = "r",
    at_s: float = 0.0,
    **values: object,
) -> None:
    """A track that triggers and ends."""
    look = Look(0, 0, box, 0.9, "person")
    track = Track(
        number, "person", 0.9, box, (0, 0), TrackState.STATIONARY, 0, 0, looks=(look,)
    )  # fmt: skip
    tiny = picture(0, 64, 48)
    frame = Frame(0, 0, 0, tiny.luma(), tiny)
    event = TriggerEvent(TriggerRule(name=rule), track, (look,), look, frame, (), 0)
    places([event], [], round(at_s * NS_PER_S), SIZE)
    places([], [replace(track, state=TrackState.GONE, **values)], round(at_s * NS_PER_S), SIZE)  # type: ignore[arg-type]


def test_the_third_object_in_one_place_is_reported_with_the_box_around_all() -> None:
    places = Places()
    for number, dx in enumerate((0, 5, -5)):
        assert not places.repeated
        seen(places, number, (100 + dx, 300, 150 + dx, 400), at_s=60 * number)
    (place,) = places.repeated
    assert (place.number, place.rule, place.label, place.count) == (1, "r", "person", REPEATS)
    assert place.box == pytest.approx((0.095, 0.6, 0.155, 0.8))
    assert (place.first_ns, place.last_ns) == (0, 120 * NS_PER_S)


@pytest.mark.parametrize(
    ("moved", "boxes", "rules"),
    [
        (True, [BALLOON] * 3, "rrr"),  # a door: everybody appears there, and walks on
        (False, [BALLOON, (180, 300, 230, 400), (260, 300, 310, 400)], "rrr"),
        (False, [BALLOON, (100, 200, 200, 400), (110, 350, 130, 400)], "rrr"),  # other sizes
        (False, [BALLOON] * 3, "rrs"),
    ],
)
def test_objects_that_move_other_places_sizes_and_rules_are_no_repetition(
    moved: bool, boxes: list[Box], rules: str
) -> None:
    places = Places()
    for number, (box, rule) in enumerate(zip(boxes, rules, strict=True)):
        seen(places, number, box, rule, has_moved=moved)
    assert not places.repeated


def test_one_object_that_triggers_many_times_counts_once() -> None:
    places = Places()
    look = Look(0, 0, BALLOON, 0.9, "person")
    track = Track(1, "person", 0.9, BALLOON, (0, 0), TrackState.STATIONARY, 0, 0, looks=(look,))
    tiny = picture(0, 64, 48)
    event = TriggerEvent(RULE, track, (look,), look, Frame(0, 0, 0, tiny.luma(), tiny), (), 0)
    for _ in range(5):
        places([event], [], 0, SIZE)
    places([], [track], 0, SIZE)
    assert places._places[0].count == 1


def test_a_place_is_forgotten_after_a_day_and_their_number_is_bounded() -> None:
    places = Places()
    for number in range(REPEATS):
        seen(places, number)
    for number in range(MAX_PLACES - 1):
        seen(places, 100 + number, (number * 30, 0, number * 30 + 20, 50), at_s=10)
    assert len(places.repeated) == 1
    assert len(places._places) == MAX_PLACES
    seen(places, 200, (0, 100, 20, 150), at_s=10)
    assert not places.repeated
    assert len(places._places) == MAX_PLACES
    seen(places, 300, at_s=11 + REMEMBERED_S)
    assert len(places._places) == 1


def test_a_place_is_muted_by_a_row_around_it_with_its_label() -> None:
    place = Place(1, "r", "sheep", "animal", (0.1, 0.6, 0.2, 0.8), (0.1, 0.6, 0.2, 0.8), 3, 0, 0)
    assert place.is_muted([Mute(box=(0.9, 0, 1, 1)), Mute(box=(0, 0.5, 0.3, 0.9))])
    assert place.is_muted([Mute(box=place.box, labels=("animal",))])
    assert not place.is_muted([Mute(box=place.box, labels=("person",))])
    assert not place.is_muted([Mute(box=(0.1, 0.6, 0.15, 0.8))])


def test_people_who_cross_a_muted_place_still_trigger(shared_data: Path) -> None:
    """PETS from frame 215 on, where two people enter at the right: the place is around the first
    look at each of them."""
    places = [Mute(box=(0.93, 0.39, 1.0, 0.58)), Mute(box=(0.92, 0.48, 1.0, 0.72))]
    settings = Settings(
        source=SourceSettings(uri=str(shared_data / "vtest.avi"), fast=True), triggers=(RULE,)
    )
    source = open_source(settings.source)
    info = source.open()
    pipeline = build_pipeline(settings, build_detector(settings), info)
    plain, muting = (Triggers([RULE], [], info.main_size, mutes=rows) for rows in ((), places))
    fired: dict[str, dict[int, int]] = {"plain": {}, "muting": {}}
    for index in range(250):
        frame = source.read()
        assert frame is not None
        if index < 215:
            continue
        analysis = pipeline(frame)
        if analysis.layouts:
            for name, triggers in (("plain", plain), ("muting", muting)):
                for event in triggers(analysis.tracks, frame):
                    fired[name].setdefault(event.track.id, index)
    source.close()
    assert fired["muting"].keys() == fired["plain"].keys()
    delays = {track: fired["muting"][track] - at for track, at in fired["plain"].items()}
    assert muting.muted >= 2, "nobody was in a muted place"
    assert 0 < max(delays.values()) <= 10  # a second
