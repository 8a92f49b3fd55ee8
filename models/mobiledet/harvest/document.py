"""What was watched and chosen, as COCO."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edge.geometry import Box
from mobiledet.dataset.coco import Annotation, Coco, Image
from mobiledet.harvest.ghosts import GHOST
from mobiledet.harvest.labels import REJECTED, TrackRow
from mobiledet.harvest.splits import home
from mobiledet.harvest.trails import Moment, Trail, Watched


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
    first = max((image.id for image in coco.images), default=0) + 1
    images = {
        each.moment.frame_index: Image(
            number, each.file_name, watched.width, watched.height,
            each.split, source, round(each.moment.time_s, 3),
            each.moment.frame_index,
        )
        for number, each in enumerate(picked, first)
    }  # fmt: skip
    part = Part(list(images.values()), [], [], {})
    every = coco.annotations + coco.rejected
    track_id = max((annotation.track_id for annotation in every), default=0)
    places: dict[int, list[tuple[Box, int, float]]] = defaultdict(list)
    for trail in watched.trails:
        sights = [sight for sight in trail.sights if sight.frame_index in images]
        if not sights:
            continue
        track_id += 1
        own = home(images[sight.frame_index].split for sight in sights)
        for sight in sights:
            at_home = images[sight.frame_index].split == own
            place = (sight.box_xyxy, track_id if at_home else 0, sight.score)
            places[sight.frame_index].append(place)
        part.trails[track_id] = Trail(sights, trail.label, trail.fault)
        part.rows.append(_row(track_id, part.trails[track_id], source, label))
    for frame_index, boxes in watched.unclear.items():
        places[frame_index] += [(box, 0, 1.0) for box in boxes]
    number = max((annotation.id for annotation in every), default=0)
    for frame_index, image in images.items():
        for box, track, score in places[frame_index]:
            number += 1
            part.annotations.append(_annotation(number, image.id, box, track, score))
    return part


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
