"""Objects over time, as the harvest's steps hand them on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edge.vision.geometry import Box, Boxes, covered

EXPLAINED = 0.5  # of a moving place inside a taught box, or the other way round


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame that may become a picture. time_s: since the footage began."""

    frame_index: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Sight:
    """Where something was in one frame, in pixels of the main picture.

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

    label: "" while nobody has named it. fault: why it is probably no object (see `ghosts`).
    """

    sights: list[Sight] = field(default_factory=list)
    label: str = ""
    fault: str = ""

    def boxes_xyxy(self) -> Boxes:
        """(n, 4), a row for each sight."""
        return boxes_of(sight.box_xyxy for sight in self.sights)


@dataclass(slots=True)
class Watched:
    """What one footage showed.

    moments: the frames that may become pictures. trails: what moved or was taught.
    unclear: by frame index, places where something may be that no trail speaks of.
    """

    width: int = 0
    height: int = 0
    duration_s: float = 0.0
    moments: list[Moment] = field(default_factory=list)
    trails: list[Trail] = field(default_factory=list)
    unclear: dict[int, list[Box]] = field(default_factory=lambda: defaultdict(list))


def boxes_of(boxes: Iterable[Box]) -> Boxes:
    return np.array(list(boxes), np.float32).reshape(-1, 4)


def places_of(trails: list[Trail]) -> dict[int, Boxes]:
    """Frame index -> (n, 4) boxes that the trails have there."""
    found: dict[int, list[Box]] = defaultdict(list)
    for trail in trails:
        for sight in trail.sights:
            found[sight.frame_index].append(sight.box_xyxy)
    return {frame_index: boxes_of(boxes) for frame_index, boxes in found.items()}


def unexplained(sights: list[Sight], places: dict[int, Boxes]) -> list[Sight]:
    """Those in whose place none of the given boxes lies, nor they in one of them."""
    left = []
    for sight in sights:
        own = boxes_of([sight.box_xyxy])
        others = places.get(sight.frame_index)
        if others is not None:
            shared = max(covered(own, others).max(), covered(others, own).max())
            if shared > EXPLAINED:
                continue
        left.append(sight)
    return left
