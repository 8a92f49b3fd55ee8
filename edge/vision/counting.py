"""Counts tracks that cross lines, and measures how long they stay in zones.

An object is where its feet are: at the bottom centre of its box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.config.schema import Line, Zone
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import feet, point_in_polygon, polygon_px
from edge.vision.types import Track, TrackState

# Chosen, not tuned.
MARGIN: Final = 0.05  # box heights beyond a line from which on a box is surely on that side
LEFT_S: Final = 1.0  # an object that is out of a zone for less has not left it
SHORTEST_S: Final = 0.5  # of a stay: a box that trembles at the edge of a zone has not been there

Direction = Literal["in", "out"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A track went across a line. `in` is from its left to its right, seen from its start."""

    line: str
    direction: Direction
    track: Track
    timestamp_ns: int


@dataclass(frozen=True, slots=True)
class Stay:
    """A track was in a zone and has left it, or has ended there."""

    zone: str
    track: Track
    entered_ns: int
    left_ns: int

    @property
    def duration_s(self) -> float:
        return (self.left_ns - self.entered_ns) / NS_PER_S


@dataclass(slots=True)
class _Known:
    """The state of one object. sides: the last sure place beside each line."""

    track: Track
    sides: dict[str, Point] = field(default_factory=dict)
    entered_ns: dict[str, int] = field(default_factory=dict)
    inside_ns: dict[str, int] = field(default_factory=dict)


class Counter:
    """Follows confirmed tracks. One that another object has taken over counts as another track."""

    def __init__(
        self, lines: Sequence[Line], zones: Sequence[Zone], main_size: tuple[int, int]
    ) -> None:
        """main_size: (width, height) of the picture."""
        self._known: dict[tuple[int, int], _Known] = {}
        self.replace(lines, zones, main_size)

    def replace(
        self, lines: Sequence[Line], zones: Sequence[Zone], main_size: tuple[int, int]
    ) -> None:
        """Uses other lines and zones from the next frame on; objects are not counted again."""
        self._lines = {line.name: (line, polygon_px(line.points, main_size)) for line in lines}
        self._zones = {zone.name: polygon_px(zone.polygon, main_size) for zone in zones}

    def __call__(
        self, tracks: Sequence[Track], timestamp_ns: int
    ) -> tuple[tuple[Crossing, ...], tuple[Stay, ...]]:
        """The crossings at this frame, and the stays that ended with it."""
        if not self._lines and not self._zones:
            return (), ()
        before, self._known = self._known, {}
        crossings: list[Crossing] = []
        stays: list[Stay] = []
        for track in tracks:
            if track.state is TrackState.TENTATIVE:
                continue
            key = track.object
            known = self._known[key] = before.pop(key) if key in before else _Known(track)
            known.track = track
            crossings += self._crossings(known, timestamp_ns)
            stays += self._stays(known, timestamp_ns)
        for gone in before.values():
            stays += _ended(gone)
        return tuple(crossings), tuple(stays)

    def inside(self) -> dict[str, int]:
        """Number of objects in each zone now, by its name."""
        objects = self._known.values()
        return {name: sum(name in one.inside_ns for one in objects) for name in self._zones}

    def end(self) -> tuple[Stay, ...]:
        """The stays of the objects that are in a zone when the source ends."""
        known, self._known = self._known, {}
        return tuple(stay for one in known.values() for stay in _ended(one))

    def _crossings(self, known: _Known, timestamp_ns: int) -> Iterator[Crossing]:
        track = known.track
        _, y0, _, y1 = track.box_xyxy
        foot = feet(track.box_xyxy)
        for name, (line, (start, end)) in self._lines.items():
            if line.labels and not track.is_one_of(line.labels):
                continue
            distance = _distance(foot, start, end)
            if abs(distance) < MARGIN * (y1 - y0):
                continue
            last = known.sides.get(name)
            known.sides[name] = foot
            if last is None or (distance > 0) == (_distance(last, start, end) > 0):
                continue
            if _distance(start, last, foot) * _distance(end, last, foot) < 0:
                yield Crossing(name, "in" if distance > 0 else "out", track, timestamp_ns)

    def _stays(self, known: _Known, timestamp_ns: int) -> Iterator[Stay]:
        foot = feet(known.track.box_xyxy)
        for name, polygon in self._zones.items():
            if point_in_polygon(*foot, polygon):
                known.entered_ns.setdefault(name, timestamp_ns)
                known.inside_ns[name] = timestamp_ns
            elif timestamp_ns - known.inside_ns.get(name, timestamp_ns) > LEFT_S * NS_PER_S:
                yield from _stay(known, name)


def _ended(known: _Known) -> Iterator[Stay]:
    for zone in tuple(known.inside_ns):
        yield from _stay(known, zone)


def _stay(known: _Known, zone: str) -> Iterator[Stay]:
    stay = Stay(zone, known.track, known.entered_ns.pop(zone), known.inside_ns.pop(zone))
    if stay.duration_s >= SHORTEST_S:
        yield stay


def _distance(point: Point, start: Point, end: Point) -> float:
    """Signed distance of a point from the line through two points: positive on its right.

    Right is as seen in the picture, whose y axis points down.
    """
    (x, y), (x0, y0), (x1, y1) = point, start, end
    length = math.hypot(x1 - x0, y1 - y0)
    return ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / length if length else 0.0
