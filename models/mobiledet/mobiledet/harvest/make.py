"""The harvest as a whole: footage in, a dataset folder out."""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge.config.schema import Settings
from edge.errors import ConfigError, PermanentError
from edge.runtime.files import make_folder, write_file
from edge.sources import open_source
from edge.sources.base import Source
from edge.vision.geometry import Box
from edge.vision.regions import crops_around
from edge.vision.types import Frame
from mobiledet.harvest.document import Part, Picked, part_of
from mobiledet.harvest.footage import Progress, frames_at, harvesting, watch
from mobiledet.harvest.sampling import choose
from mobiledet.harvest.splits import Shares, split_at
from mobiledet.harvest.store import DATASET, IMAGES, Store, load, save
from mobiledet.harvest.teacher import Teacher, teacher_for
from mobiledet.harvest.trails import Watched, boxes_of

JPEG_QUALITY, THUMB_QUALITY = 92, 80
THUMBS, THUMB_PX, THUMB_CONTEXT = 4, 112, 1.5  # of each track on the page
FRAME_BGR = (40, 210, 240)

Tell = Callable[[str], Progress]


@dataclass(frozen=True, slots=True)
class Options:
    """every_s: least time between pictures. limit: most pictures of one footage, 0 = all.

    teacher: a model, `truth` or "". tiles: it also looks at tiles of the frame. only: its labels
    that count, empty = all. label: a name for all tracks that the teacher gave none.
    """

    every_s: float = 1.0
    limit: int = 0
    teacher: str = ""
    tiles: bool = False
    only: frozenset[str] = frozenset()
    label: str = ""
    shares: Shares = field(default_factory=Shares)


def harvest(
    settings: Settings, footage: Sequence[str], out: Path, options: Options, tell: Tell
) -> Store:
    """Makes the dataset `out`, or adds to it; it is complete after each footage.

    footage: what `edge run --source` takes, as long as it ends. tell: opens a progress by its name.
    Raises EdgeError.
    """
    store = load(out) if (out / DATASET).is_file() else Store()
    _check(settings, footage, out, store)
    for uri in footage:
        own = harvesting(settings, uri)
        watched = watch(own, options.every_s, _teacher(own, options), options.only, tell(uri))
        picked = _pick(watched, options, _stem(uri, store))
        if not picked:
            raise PermanentError(f"source {uri}: nothing in it is worth a picture")
        part = part_of(store.coco, uri, watched, picked, options.label)
        thumbs = _write_images(own, out, picked, part, tell(f"{uri}, pictures"))
        store.coco.images += part.images
        store.coco.annotations += part.annotations
        store.rows += part.rows
        store.thumbs |= thumbs
        save(out, store)
    return store


def _check(settings: Settings, footage: Sequence[str], out: Path, store: Store) -> None:
    """Before the first hour of work. Raises ConfigError, SourceError."""
    for uri, count in Counter(footage).items():
        if count > 1:
            raise ConfigError(f"{uri} is named twice")
        if uri in store.sources():
            raise ConfigError(f"{out} holds {uri} already; choose another --out")
        open_source(harvesting(settings, uri).source, recording=True)


def _teacher(settings: Settings, options: Options) -> Callable[[Source], Teacher] | None:
    if not options.teacher:
        return None
    return lambda source: teacher_for(options.teacher, options.tiles, settings, source)


def _pick(watched: Watched, options: Options, stem: str) -> list[Picked]:
    """The moments that become pictures, those in the gaps between splits left out."""
    splits = {
        moment.frame_index: split_at(moment.time_s, watched.duration_s, options.shares)
        for moment in watched.moments
    }
    watched.moments = [moment for moment in watched.moments if splits[moment.frame_index]]
    return [
        Picked(moment, splits[moment.frame_index], f"{IMAGES}/{stem}-{moment.frame_index:06d}.jpg")
        for moment in choose(watched, options.limit)
    ]


def _stem(uri: str, store: Store) -> str:
    """Begins the names of a footage's pictures; another footage's never begin so."""
    name = uri.removeprefix("synthetic:") if uri.startswith("synthetic:") else Path(uri).stem
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "footage"
    taken = {Path(image.file_name).stem.rpartition("-")[0] for image in store.coco.images}
    return next(s for s in _numbered(stem) if s not in taken)


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _write_images(
    settings: Settings, out: Path, picked: list[Picked], part: Part, progress: Progress
) -> dict[int, list[str]]:
    """The pictures, and thumbnails of the tracks in them. Raises FileError."""
    make_folder((out / IMAGES).absolute())
    names = {each.moment.frame_index: each.file_name for each in picked}
    shown: dict[int, list[tuple[int, Box]]] = defaultdict(list)
    for track_id, trail in part.trails.items():
        count = len(trail.sights)
        for row in np.linspace(0, count - 1, min(THUMBS, count)).round().astype(int):
            sight = trail.sights[row]
            shown[sight.frame_index].append((track_id, sight.box_xyxy))
    thumbs: dict[int, list[str]] = defaultdict(list)
    for frame in frames_at(settings, names.keys(), progress):
        image = frame.main.bgr()
        write_file(out / names[frame.index], _jpeg(image, JPEG_QUALITY))
        for track_id, box in shown[frame.index]:
            thumbs[track_id].append(_thumb(frame, box))
    return thumbs


def _thumb(frame: Frame, box_xyxy: Box) -> str:
    """A track in one frame, framed, with some of what is around it: JPEG in base64."""
    x0, y0, x1, y1 = box_xyxy
    side_px = THUMB_CONTEXT * max(x1 - x0, y1 - y0)
    around = crops_around(
        boxes_of([box_xyxy]),
        np.full((1, 2), side_px, np.float32),
        (frame.main.width, frame.main.height),
    )
    cx0, cy0, cx1, cy1 = around[0].tolist()
    crop = frame.main.rgb((cx0, cy0, cx1, cy1))
    height, width = crop.shape[:2]
    scale = THUMB_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    corners = (np.array(box_xyxy) - (cx0, cy0, cx0, cy0)) * scale
    left, top, right, bottom = corners.round().astype(int).tolist()
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    cv2.rectangle(bgr, (left, top), (right - 1, bottom - 1), FRAME_BGR, 1)
    return base64.b64encode(_jpeg(bgr, THUMB_QUALITY)).decode()


def _jpeg(bgr: cv2.typing.MatLike, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()
