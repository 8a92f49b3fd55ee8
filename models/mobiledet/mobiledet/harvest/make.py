"""Makes a dataset folder of footage: all steps of a harvest."""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge.config.masking import masked
from edge.config.schema import Settings
from edge.errors import ConfigError, PermanentError
from edge.sources import open_source
from edge.sources.base import Source
from edge.vision.geometry import Box
from edge.vision.picture import Picture
from edge.vision.regions import crops_around
from mobiledet.dataset.writing import DATASET, IMAGES, jpeg, write_picture
from mobiledet.harvest.document import Part, Picked, part_of
from mobiledet.harvest.footage import Progress, frames_at, harvest_settings, observe
from mobiledet.harvest.sampling import choose
from mobiledet.harvest.splits import Shares, split_at
from mobiledet.harvest.store import Store, load, save
from mobiledet.harvest.teacher import Teacher, teacher_for
from mobiledet.harvest.trails import Observations, boxes_of

# On the page, for each track: the number of thumbnails, their longer side, and the side of the crop
# as a multiple of the box's longer side.
THUMBS, THUMB_PX, THUMB_CONTEXT = 4, 112, 1.5
THUMB_QUALITY = 80  # of 100; all thumbnails are inside one page
FRAME_BGR = (40, 210, 240)

StartProgress = Callable[[str], Progress]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a harvest.

    every_s: minimum time between pictures. limit: up to N pictures of each footage, 0 = all.
    teacher: a model, `truth` or "". tiles: whether it also looks at tiles. only: labels of the
    teacher to use, empty = all. label: a name for all tracks that the teacher hasn't named.
    """

    every_s: float = 1.0
    limit: int = 0
    teacher: str = ""
    tiles: bool = False
    only: frozenset[str] = frozenset()
    label: str = ""
    shares: Shares = field(default_factory=Shares)


def harvest(
    settings: Settings,
    footage: Sequence[str],
    out: Path,
    options: Options,
    start_progress: StartProgress,
) -> Store:
    """Makes the dataset `out`, or adds to it. The dataset is complete after each footage.

    footage: sources of `edge run --source` that end; the dataset names them without credentials.
    start_progress: called with the name of a step; the result is called with the step's progress.
    Raises EdgeError.
    """
    store = load(out) if (out / DATASET).is_file() else Store()
    _check(settings, footage, out, store)
    for uri in footage:
        reading = harvest_settings(settings, uri)
        name, teacher = reading.source.name, _teacher(reading, options)
        observations = observe(
            reading, options.every_s, teacher, options.only, start_progress(name)
        )
        picked = _pick(observations, options, _stem(name, store))
        if not picked:
            raise PermanentError(f"source {name}: no frame is suitable as a picture")
        part = part_of(store.coco, name, observations, picked, options.label)
        thumbs = _write_pictures(reading, out, picked, part, start_progress(f"{name}, pictures"))
        store.coco.images += part.images
        store.coco.annotations += part.annotations
        store.rows += part.rows
        store.thumbs |= thumbs
        save(out, store)
    return store


def _check(settings: Settings, footage: Sequence[str], out: Path, store: Store) -> None:
    """Refuses bad footage before hours of work. Raises ConfigError, SourceError."""
    for name, count in Counter(map(masked, footage)).items():
        if count > 1:
            raise ConfigError(f"{name} is given twice")
        if name in store.sources():
            raise ConfigError(f"{out} holds {name} already; choose another --out")
    for uri in footage:
        open_source(harvest_settings(settings, uri).source, recording=True)  # opens nothing yet


def _teacher(settings: Settings, options: Options) -> Callable[[Source], Teacher] | None:
    if not options.teacher:
        return None
    return lambda source: teacher_for(options.teacher, options.tiles, settings, source)


def _pick(observations: Observations, options: Options, stem: str) -> list[Picked]:
    """The moments that become pictures, none in the gaps between splits."""
    splits = {
        moment.frame_index: split_at(moment.time_s, observations.duration_s, options.shares)
        for moment in observations.moments
    }
    observations.moments = [m for m in observations.moments if splits[m.frame_index]]
    return [
        Picked(moment, splits[moment.frame_index], f"{IMAGES}/{stem}-{moment.frame_index:06d}.jpg")
        for moment in choose(observations, options.limit)
    ]


def _stem(source: str, store: Store) -> str:
    """The beginning of the file names of a footage's pictures, unique in the dataset.

    source: its name without credentials.
    """
    if source.startswith("synthetic:"):
        name = source.removeprefix("synthetic:")
    else:
        name = Path(re.split(r"[?#]", source)[0] if "://" in source else source).stem
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "footage"
    taken = {Path(image.file_name).stem.rpartition("-")[0] for image in store.coco.images}
    return next(candidate for candidate in _numbered(stem) if candidate not in taken)


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _write_pictures(
    settings: Settings, out: Path, picked: list[Picked], part: Part, progress: Progress
) -> dict[int, list[str]]:
    """Writes the pictures and returns the thumbnails by track. Raises FileError."""
    names = {each.moment.frame_index: each.file_name for each in picked}
    views = _views(part)
    thumbs: dict[int, list[str]] = defaultdict(list)
    for frame in frames_at(settings, names.keys(), progress):
        write_picture(out, names[frame.index], frame.main.bgr())
        for track_id, box in views[frame.index]:
            thumbs[track_id].append(thumbnail(frame.main, box))
    return thumbs


def _views(part: Part) -> dict[int, list[tuple[int, Box]]]:
    """By frame index, the tracks that get a thumbnail there, and their boxes."""
    views: dict[int, list[tuple[int, Box]]] = defaultdict(list)
    for track_id, trail in part.trails.items():
        count = len(trail.sightings)
        for row in np.linspace(0, count - 1, min(THUMBS, count)).round().astype(int):
            sighting = trail.sightings[row]
            views[sighting.frame_index].append((track_id, sighting.box_xyxy))
    return views


def thumbnail(picture: Picture, box_xyxy: Box) -> str:
    """The box and its surroundings as a JPEG file in base64."""
    x0, y0, x1, y1 = box_xyxy
    side_px = THUMB_CONTEXT * max(x1 - x0, y1 - y0)
    sides = np.full((1, 2), side_px, np.float32)
    around = crops_around(boxes_of([box_xyxy]), sides, (picture.width, picture.height))
    left, top, right, bottom = around[0].tolist()
    crop = picture.rgb((left, top, right, bottom))
    height, width = crop.shape[:2]
    scale = THUMB_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    corners = (np.array(box_xyxy) - (left, top, left, top)) * scale
    x0, y0, x1, y1 = corners.round().astype(int).tolist()
    bgr = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8)
    cv2.rectangle(bgr, (x0, y0), (x1 - 1, y1 - 1), FRAME_BGR, 1)
    return base64.b64encode(jpeg(bgr, THUMB_QUALITY)).decode()
