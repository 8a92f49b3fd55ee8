"""Finds places where a rule is met again and again by objects that do not move.

A balloon, a poster or a bush triggers in the same place, each time as another track, and never goes
anywhere; a person is on the way. So a trigger counts only when its track ends and has not moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.config.schema import Mute
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, iou
from edge.vision.triggers import MUTED_SHARE, TriggerEvent
from edge.vision.types import Track

REPEATS = 3  # objects in one place that make it worth a report
SAME_PLACE = 0.5  # IoU of two triggers in one place; people who pass differ more
REMEMBERED_S = 86_400  # since the last trigger in a place
MAX_PLACES = 32  # bounds the memory; the place with the oldest trigger is forgotten first
MAX_OPEN = 256  # triggers whose track has not ended


@dataclass(frozen=True, slots=True)
class Place:
    """A place where objects that did not move triggered a rule.

    number: counts the places from 1. label, group: of the last object. mean_box: mean of the
    boxes that triggered. box: around all looks at all objects. Both are shares of the picture.
    first_ns, last_ns: Unix time of the first and of the last trigger.
    """

    number: int
    rule: str
    label: str
    group: str
    mean_box: Box
    box: Box
    count: int
    first_ns: int
    last_ns: int

    def is_muted(self, mutes: Iterable[Mute]) -> bool:
        """Whether one of these rows silences what is in this place."""
        names = {self.label, self.group}
        return any(
            covered(_row(self.box), _row(mute.box))[0, 0] >= MUTED_SHARE
            for mute in mutes
            if not mute.labels or names & {*mute.labels}
        )


class Places:
    """Remembers places. One thread calls it with each frame; any may read `repeated`."""

    def __init__(self) -> None:
        self._open: dict[int, list[Place]] = {}
        self._places: list[Place] = []
        self._numbers = 0
        self.repeated: tuple[Place, ...] = ()

    def __call__(
        self,
        events: Sequence[TriggerEvent],
        ended: Sequence[Track],
        wall_ns: int,
        size: tuple[int, int],
    ) -> None:
        """Takes the events and the ended tracks of a frame.

        wall_ns: Unix time of the frame. size: (width, height) of the main picture.
        """
        for event in events:
            waiting = self._open.setdefault(event.track.id, [])
            if all(place.rule != event.rule.name for place in waiting):
                waiting.append(_first(event, wall_ns, size))
        while len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        for track in ended:
            waiting = self._open.pop(track.id, [])
            for place in waiting if not track.has_moved else ():
                self._note(replace(place, box=_extent(track, place.box, size)))
        if self._places and ended:
            self._forget(wall_ns)

    def _note(self, new: Place) -> None:
        """Joins it to a known place, or remembers a new one."""
        same = [p for p in self._places if p.rule == new.rule and _overlap(p, new) >= SAME_PLACE]
        if same:
            known = max(same, key=lambda place: _overlap(place, new))
            self._places.remove(known)
            new = _joined(known, new)
        else:
            self._numbers += 1
            new = replace(new, number=self._numbers)
        self._places.append(new)

    def _forget(self, now_ns: int) -> None:
        oldest_ns = now_ns - REMEMBERED_S * NS_PER_S
        self._places = [p for p in self._places if p.last_ns >= oldest_ns][-MAX_PLACES:]
        self.repeated = tuple(place for place in self._places if place.count >= REPEATS)


def _first(event: TriggerEvent, wall_ns: int, size: tuple[int, int]) -> Place:
    rule, track = event.rule.name, event.track
    box = _shares(event.confirmed[-1].box_xyxy, size)
    return Place(0, rule, track.label, track.group, box, box, 1, wall_ns, wall_ns)


def _joined(known: Place, new: Place) -> Place:
    count = known.count + 1
    x0, y0, x1, y1 = (
        (old * known.count + side) / count
        for old, side in zip(known.mean_box, new.mean_box, strict=True)
    )
    return replace(
        new,
        number=known.number,
        mean_box=(x0, y0, x1, y1),
        box=_around(known.box, new.box),
        count=count,
        first_ns=known.first_ns,
    )


def _extent(track: Track, box: Box, size: tuple[int, int]) -> Box:
    """The box around all remembered looks at a track, in shares."""
    for look in track.looks:
        if not look.missed:
            box = _around(box, _shares(look.box_xyxy, size))
    return box


def _around(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _overlap(a: Place, b: Place) -> float:
    return float(iou(_row(a.mean_box), _row(b.mean_box))[0, 0])


def _shares(box_xyxy: Box, size: tuple[int, int]) -> Box:
    """A box in pixels as shares of the picture, cut at its edges."""
    width, height = size
    x0, y0, x1, y1 = box_xyxy
    return (
        min(max(x0 / width, 0.0), 1.0), min(max(y0 / height, 0.0), 1.0),
        min(max(x1 / width, 0.0), 1.0), min(max(y1 / height, 0.0), 1.0),
    )  # fmt: skip


def _row(box: Box) -> Boxes:
    return np.array([box], np.float32)
