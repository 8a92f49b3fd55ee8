"""What was watched and chosen, as COCO."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

from edge.vision.geometry import Box
from mobiledet.dataset.coco import Annotation, Coco, Image
from mobiledet.harvest.ghosts import GHOST
from mobiledet.harvest.labels import REJECTED, TrackRow
from mobiledet.harvest.splits import home
from mobiledet.harvest.trails import Moment, Trail, Watched

Place = tuple[Box, int, float]  # where, which track or 0, a teacher's score


@dataclass(frozen=True, slots=True)
class Picked:
    """A moment that becomes a picture."""

    moment: Moment
    split: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one footage adds to a dataset; trails: the one of each track.

    All annotations are unnamed: `labels.relabel` makes objects of them by the rows' labels.
    """

    images: list[Image]
    annotations: list[Annotation]
    rows: list[TrackRow]
    trails: dict[int, Trail]


def part_of(coco: Coco, source: str, watched: Watched, picked: list[Picked], label: str) -> Part:
    """label: a name for every track that has none and no fault; may be empty.

    A track belongs to one split; in pictures of another it is a place to ignore, whatever its name.
    """
    images = _images(coco, source, watched, picked)
    every = coco.annotations + coco.rejected
    track_id = max((annotation.track_id for annotation in every), default=0)
    part = Part(list(images.values()), [], [], {})
    places: dict[int, list[Place]] = defaultdict(list)
    for trail in watched.trails:
        sights = [sight for sight in trail.sights if sight.frame_index in images]
        if sights:
            track_id += 1
            shown = part.trails[track_id] = Trail(sights, trail.label, trail.fault)
            part.rows.append(_row(track_id, shown, source, label))
            own = home(images[sight.frame_index].split for sight in sights)
            for sight in sights:
                at_home = images[sight.frame_index].split == own
                place = (sight.box_xyxy, track_id if at_home else 0, sight.score)
                places[sight.frame_index].append(place)
    for frame_index, boxes in watched.unclear.items():
        places[frame_index] += [(box, 0, 1.0) for box in boxes]
    numbers = count(max((annotation.id for annotation in every), default=0) + 1)
    for frame_index, image in images.items():
        part.annotations.extend(
            _annotation(next(numbers), image.id, *place) for place in places[frame_index]
        )
    return part


def _images(coco: Coco, source: str, watched: Watched, picked: list[Picked]) -> dict[int, Image]:
    """By frame index."""
    first = max((image.id for image in coco.images), default=0) + 1
    return {
        each.moment.frame_index: Image(
            id=number,
            file_name=each.file_name,
            width=watched.width,
            height=watched.height,
            split=each.split,
            source=source,
            time_s=round(each.moment.time_s, 3),
            frame_index=each.moment.frame_index,
        )
        for number, each in enumerate(picked, first)
    }


def _row(track_id: int, trail: Trail, source: str, label: str) -> TrackRow:
    name = trail.label or (REJECTED if trail.fault == GHOST else "" if trail.fault else label)
    from_s, to_s = (round(sight.time_s, 1) for sight in (trail.sights[0], trail.sights[-1]))
    return TrackRow(track_id, name, source, from_s, to_s, len(trail.sights), trail.fault)


def _annotation(
    number: int, image_id: int, box_xyxy: Box, track_id: int, score: float
) -> Annotation:
    x0, y0, x1, y1 = (round(value, 1) for value in box_xyxy)
    width, height = round(x1 - x0, 1), round(y1 - y0, 1)
    area = round(width * height, 1)
    bbox = (x0, y0, width, height)
    return Annotation(number, image_id, 0, bbox, area, 1, track_id, round(score, 3))
