"""Objects over time, in the form that the steps of the harvest share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edge.vision.geometry import Box, Boxes, covered

# Share of one box inside the other above which both show the same object, as IoU 0.5 does for boxes
# of one size.
EXPLAINED = 0.5


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame that may become a picture.

    time_s: seconds since the footage began. size: (width, height) of the picture.
    """

    frame_index: int
    time_s: float
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The place of one object in one frame, in pixels of the main picture.

    edges, met: see `candidates.Moving`. score, label: a teacher's.
    """

    frame_index: int
    time_s: float
    box_xyxy: Box
    edges: float = 1.0
    met: bool = False
    score: float = 1.0
    label: str = ""


@dataclass(slots=True)
class Trail:
    """One object over time.

    label: "" if it has no name. fault: why it is probably not an object (see `ghosts`), or "".
    """

    sightings: list[Sighting] = field(default_factory=list)
    label: str = ""
    fault: str = ""

    def boxes_xyxy(self) -> Boxes:
        """(n, 4), a row for each sighting."""
        return boxes_of(sighting.box_xyxy for sighting in self.sightings)


@dataclass(slots=True)
class Observations:
    """The observations in one footage.

    moments: frames that may become pictures. trails: objects that moved or that the teacher found.
    unclear: by frame index, places outside all trails where an object may be.
    """

    duration_s: float = 0.0
    moments: list[Moment] = field(default_factory=list)
    trails: list[Trail] = field(default_factory=list)
    unclear: dict[int, list[Box]] = field(default_factory=lambda: defaultdict(list))


def boxes_of(boxes: Iterable[Box]) -> Boxes:
    """(n, 4) float32, also for n = 0."""
    return np.array(list(boxes), np.float32).reshape(-1, 4)


def places_of(trails: list[Trail]) -> dict[int, Boxes]:
    """Frame index -> (n, 4) boxes of all trails in that frame."""
    places: dict[int, list[Box]] = defaultdict(list)
    for trail in trails:
        for sighting in trail.sightings:
            places[sighting.frame_index].append(sighting.box_xyxy)
    return {frame_index: boxes_of(boxes) for frame_index, boxes in places.items()}


def unexplained(sightings: list[Sighting], places: dict[int, Boxes]) -> list[Sighting]:
    """The sightings whose boxes neither contain a box of `places` in their frame nor lie in one."""
    left = []
    for sighting in sightings:
        box = boxes_of([sighting.box_xyxy])
        others = places.get(sighting.frame_index)
        if others is not None:
            shared = max(covered(box, others).max(), covered(others, box).max())
            if shared > EXPLAINED:
                continue
        left.append(sighting)
    return left
