"""The observations of one footage as COCO images, annotations and track rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

from edge.vision.geometry import Box
from mobiledet.dataset.coco import Annotation, Coco, Image
from mobiledet.dataset.writing import annotation
from mobiledet.harvest.ghosts import GHOST
from mobiledet.harvest.labels import REJECTED, UNNAMED, TrackRow
from mobiledet.harvest.splits import track_split
from mobiledet.harvest.trails import Moment, Observations, Trail

Place = tuple[Box, int, float]  # box, track id (0 = none), score of the teacher


@dataclass(frozen=True, slots=True)
class Picked:
    """A moment that becomes a picture."""

    moment: Moment
    split: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a dataset that one footage adds. trails: by track id, with sightings in pictures.

    Annotations have no names yet: `labels.relabel` names them by the labels of the rows.
    """

    images: list[Image]
    annotations: list[Annotation]
    rows: list[TrackRow]
    trails: dict[int, Trail]


def part_of(
    coco: Coco, source: str, observations: Observations, picked: list[Picked], label: str
) -> Part:
    """Makes the part that `picked` moments add to `coco`, with numbers that follow on from it.

    label: a name for every track that has neither a name nor a fault; may be empty. A track belongs
    to one split, and is a place to ignore in the pictures of the others.
    """
    images = _images(coco, source, picked)
    earlier = coco.annotations + coco.rejected
    first_track = max((annotation.track_id for annotation in earlier), default=0) + 1
    shown = [
        Trail([s for s in trail.sightings if s.frame_index in images], trail.label, trail.fault)
        for trail in observations.trails
    ]
    trails = dict(enumerate((trail for trail in shown if trail.sightings), first_track))
    places = _places(images, trails)
    for frame_index, boxes in observations.unclear.items():
        places[frame_index] += [(box, 0, 1.0) for box in boxes]
    numbers = count(max((annotation.id for annotation in earlier), default=0) + 1)
    annotations = [
        annotation(next(numbers), image.id, box, 0, iscrowd=True, track_id=track_id, score=score)
        for frame_index, image in images.items()
        for box, track_id, score in places[frame_index]
    ]
    rows = [_row(track_id, trail, source, label) for track_id, trail in trails.items()]
    return Part(list(images.values()), annotations, rows, trails)


def _images(coco: Coco, source: str, picked: list[Picked]) -> dict[int, Image]:
    """By frame index."""
    first = max((image.id for image in coco.images), default=0) + 1
    return {
        each.moment.frame_index: Image(
            id=number,
            file_name=each.file_name,
            width=each.moment.size[0],
            height=each.moment.size[1],
            split=each.split,
            source=source,
            time_s=round(each.moment.time_s, 3),
            frame_index=each.moment.frame_index,
        )
        for number, each in enumerate(picked, first)
    }


def _places(images: dict[int, Image], trails: dict[int, Trail]) -> dict[int, list[Place]]:
    """By frame index. A sighting outside its track's split has no track id."""
    places: dict[int, list[Place]] = defaultdict(list)
    for track_id, trail in trails.items():
        split = track_split(images[sighting.frame_index].split for sighting in trail.sightings)
        for sighting in trail.sightings:
            in_split = images[sighting.frame_index].split == split
            place = (sighting.box_xyxy, track_id if in_split else 0, sighting.score)
            places[sighting.frame_index].append(place)
    return places


def _row(track_id: int, trail: Trail, source: str, label: str) -> TrackRow:
    first, last = trail.sightings[0], trail.sightings[-1]
    return TrackRow(
        track=track_id,
        label=trail.label or _label_by_fault(trail.fault, label),
        source=source,
        from_s=round(first.time_s, 1),
        to_s=round(last.time_s, 1),
        pictures=len(trail.sightings),
        note=trail.fault,
    )


def _label_by_fault(fault: str, label: str) -> str:
    if fault == GHOST:
        return REJECTED
    return UNNAMED if fault else label
