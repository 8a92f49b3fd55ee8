"""Lines and zones, with tracks that are moved by hand; test_pets.py counts real people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import Line, Zone
from edge.runtime.times import NS_PER_S
from edge.vision.counting import Counter, Crossing, Stay
from edge.vision.types import Track, TrackState

SIZE = (640, 480)
FPS = 10
GATE = Line(name="gate", points=((0.5, 0.2), (0.5, 0.8)))  # downwards: its left is the right half
POND = Zone(name="pond", polygon=((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)))
PERSON = Track(1, "person", 0.9, (0, 0, 0, 0), (0, 0), TrackState.MOVING, 0, 0)


def at(x: float, y: float, track: Track = PERSON) -> Track:
    """The track with its feet at this place, 100 pixels high."""
    return replace(track, box_xyxy=(x - 20, y - 100, x + 20, y))


def follow(
    places: Iterable[Track | None], lines: tuple[Line, ...] = (GATE,), zones: tuple[Zone, ...] = ()
) -> tuple[list[Crossing], list[Stay]]:
    counter = Counter(lines, zones, SIZE)
    crossings: list[Crossing] = []
    stays: list[Stay] = []
    for index, track in enumerate(places):
        found = counter([track] if track else [], index * NS_PER_S // FPS)
        crossings += found[0]
        stays += found[1]
    return crossings, stays


def walk(x0: float, x1: float, y: float = 240, track: Track = PERSON) -> Iterator[Track]:
    yield from (at(x, y, track) for x in np.linspace(x0, x1, 20))


def directions(crossings: Iterable[Crossing]) -> list[str]:
    return [crossing.direction for crossing in crossings]


def test_no_tracks_and_no_lines() -> None:
    assert follow([None] * 3) == ([], [])
    assert follow(walk(100, 500), lines=()) == ([], [])


def test_in_is_from_the_left_of_the_line_to_its_right() -> None:
    # Who looks from the upper end to the lower one has the picture's left half to the right.
    assert directions(follow(walk(500, 100))[0]) == ["in"]
    assert directions(follow(walk(100, 500))[0]) == ["out"]


def test_there_and_back_is_one_in_each_direction() -> None:
    crossings, _ = follow([*walk(500, 100), *walk(100, 500)])
    assert directions(crossings) == ["in", "out"]
    assert [crossing.timestamp_ns for crossing in crossings] == sorted(
        crossing.timestamp_ns for crossing in crossings
    )


def test_a_box_that_trembles_on_the_line_is_not_counted() -> None:
    assert follow([at(320 + 4 * (-1) ** n, 240) for n in range(50)])[0] == []


def test_who_walks_round_the_end_of_a_line_does_not_cross_it() -> None:
    assert follow(walk(500, 100, y=450))[0] == []


def test_labels_groups_and_unsure_tracks() -> None:
    deer = replace(PERSON, label="deer", group="animal")
    animals = Line(name="gate", points=GATE.points, labels=("animal",))
    assert directions(follow(walk(500, 100, track=deer), (animals,))[0]) == ["in"]
    assert follow(walk(500, 100), (animals,))[0] == []
    tentative = replace(PERSON, state=TrackState.TENTATIVE)
    assert follow(walk(500, 100, track=tentative))[0] == []


def test_a_track_that_is_taken_over_begins_on_its_own_side() -> None:
    places = [*walk(500, 400), *walk(100, 200, track=replace(PERSON, takeovers=1))]
    assert follow(places)[0] == []


def test_lines_that_are_replaced_count_nobody_twice() -> None:
    counter = Counter((GATE,), (), SIZE)
    found: list[Crossing] = []
    for index, track in enumerate(walk(500, 100)):
        found += counter([track], index)[0]
        counter.replace((GATE,), (), SIZE)
    assert directions(found) == ["in"]


@given(st.lists(st.tuples(st.floats(0, 640), st.floats(100, 480)), min_size=2, max_size=40))
def test_crossings_alternate_and_fit_the_side_at_the_end(
    places: list[tuple[float, float]],
) -> None:
    endless = Line(name="gate", points=((0.5, 0.0), (0.5, 1.0)))
    found = directions(follow([at(x, y) for x, y in places], (endless,))[0])
    assert all(a != b for a, b in pairwise(found))
    sure = [x < 320 for x, y in places if abs(x - 320) > 5.01]
    if sure and all(abs(x - 320) > 5.01 for x, _ in places) and all(y < 480 for _, y in places):
        assert found.count("in") - found.count("out") == int(sure[-1]) - int(sure[0])


def test_a_stay_lasts_until_the_object_has_left_for_a_second() -> None:
    outside, inside = at(500, 400), at(100, 400)
    _, stays = follow(
        [outside] * 5 + [inside] * 30 + [outside] * 5 + [inside] * 10 + [outside] * 20,
        (), (POND,),
    )  # fmt: skip
    (stay,) = stays
    assert stay.zone == "pond"
    assert stay.duration_s == pytest.approx(4.4)


def test_a_stay_ends_with_its_track_and_a_touch_is_none() -> None:
    _, stays = follow([at(100, 400)] * 21 + [None] * 3, (), (POND,))
    assert [stay.duration_s for stay in stays] == [pytest.approx(2.0)]
    _, stays = follow([at(100, 400)] * 3 + [None] * 3, (), (POND,))
    assert stays == []
