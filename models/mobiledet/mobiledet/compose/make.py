"""Composes pictures of cut-outs on empty scenes, and adds them to a dataset folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from edge.vision.geometry import Box, Boxes, covered
from edge.vision.picture import Picture, PixelFormat
from mobiledet.compose.cutouts import GRABCUT, PLAIN, Cutout, cut_all
from mobiledet.compose.paste import Random, blended, lit, posed, shaded, softened
from mobiledet.compose.scenes import Scene
from mobiledet.dataset.base import Origin
from mobiledet.dataset.coco import Image
from mobiledet.dataset.writing import DATASET, IMAGES, annotation, write_picture
from mobiledet.harvest.labels import TrackRow
from mobiledet.harvest.make import THUMBS, thumbnail
from mobiledet.harvest.splits import NAMES, Shares
from mobiledet.harvest.store import Store, load, save
from mobiledet.harvest.trails import boxes_of

SOURCE = "composed:"  # before the scene's name: its pictures are not frames of the footage
EMPTY_SHARE = 0.05  # of the pictures: the scene alone
MAX_COVERED = 0.15  # share of an object that another may cover
PLACE_TRIES = 20
# Notes of tracks.csv: how the photograph was cut, where a person should check that.
NOTES = {PLAIN: "cut from a plain background", GRABCUT: "cut by GrabCut"}

Bgr = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a composition.

    pictures: number of them. objects: most objects in a picture. sizes: range of an object's longer
    side, as shares of the scene's height. licence: origin and licence of the photographs.
    """

    pictures: int = 400
    objects: int = 3
    sizes: tuple[float, float] = (0.08, 0.4)
    shares: Shares = field(default_factory=Shares)
    seed: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Stock:
    """The cut-outs of one split: by label, each with its track id."""

    by_label: Mapping[str, Sequence[tuple[int, Cutout]]]

    def draw(self, random: Random) -> tuple[int, Cutout]:
        """Every class is equally likely, and within it every photograph."""
        label = list(self.by_label)[int(random.integers(len(self.by_label)))]
        members = self.by_label[label]
        return members[int(random.integers(len(members)))]


@dataclass(slots=True)
class Composed:
    """The result. failed: photographs in which no object was found."""

    store: Store
    added: list[Image]
    rows: list[TrackRow]
    failed: list[Path]


def compose(
    scenes: Sequence[Scene],
    photographs: Mapping[str, Sequence[Path]],
    out: Path,
    options: Options,
    progress: Progress,
) -> Composed:
    """Makes the dataset `out`, or adds to it. photographs: by label.

    Each photograph is a track of one split: those of val and test are not in train. progress:
    called with the number of pictures done, and of all. Raises EdgeError.
    """
    store = load(out) if (out / DATASET).is_file() else Store()
    rows, stocks, failed = _stocks(photographs, options.shares, _first_track(store))
    first = max((image.id for image in store.coco.images), default=0) + 1
    random = np.random.default_rng([options.seed, first])
    images: list[Image] = []
    for split in dealt(options.pictures, options.shares):
        scene = scenes[int(random.integers(len(scenes)))]
        bgr, objects = composed(scene, stocks[split], options, random)
        images.append(image := _image(first + len(images), scene, bgr, split))
        write_picture(out, image.file_name, bgr)
        _add(store, image, bgr, objects)
        progress(len(images), options.pictures)
    store.coco.images += images
    store.coco.origins = _origins(store.coco.origins, options.licence, photographs, scenes)
    used = Counter(each.track_id for each in store.coco.annotations)
    for row in rows:
        row.pictures = used[row.track]
    rows = [row for row in rows if row.pictures]
    store.rows += rows
    save(out, store)
    return Composed(store, images, rows, failed)


def _first_track(store: Store) -> int:
    everything = store.coco.annotations + store.coco.rejected
    return max((each.track_id for each in everything), default=0) + 1


def _add(store: Store, image: Image, bgr: Bgr, objects: Sequence[tuple[int, Box]]) -> None:
    """Adds the objects of a picture, and their views on the page. `save` then names them."""
    everything = store.coco.annotations + store.coco.rejected
    first = max((each.id for each in everything), default=0) + 1
    for number, (track_id, box) in enumerate(objects, first):
        store.coco.annotations.append(
            annotation(number, image.id, box, 0, iscrowd=True, track_id=track_id)
        )
        thumbs = store.thumbs.setdefault(track_id, [])
        if len(thumbs) < THUMBS:
            thumbs.append(thumbnail(Picture(PixelFormat.BGR, (bgr,)), box))


def composed(
    scene: Scene, stock: Stock, options: Options, random: Random
) -> tuple[Bgr, list[tuple[int, Box]]]:
    """One picture, (h, w, 3) uint8 BGR, and the track and box of each object in it."""
    canvas = scene.bgr.astype(np.float32)
    height, width = canvas.shape[:2]
    objects: list[tuple[int, Box]] = []
    wanted = 0 if random.random() < EMPTY_SHARE else 1 + int(random.integers(options.objects))
    for _ in range(wanted):
        track_id, cutout = stock.draw(random)
        side_px = np.exp(random.uniform(*np.log(options.sizes))) * height
        piece = posed(cutout, side_px, random)
        inner = piece.box_xyxy()
        corner = _place(inner, (width, height), [box for _, box in objects], random)
        if corner is None:
            continue
        x, y = corner
        box = inner[0] + x, inner[1] + y, inner[2] + x, inner[3] + y
        x0, y0, x1, y1 = (int(value) for value in box)
        piece = softened(lit(piece, scene.bgr[y0:y1, x0:x1], random), random)
        shaded(canvas, piece, corner, random)
        blended(canvas, piece, corner)
        objects.append((track_id, box))
    canvas += random.normal(0, scene.noise, canvas.shape).astype(np.float32)
    return canvas.round().clip(0, 255).astype(np.uint8), objects


def _place(
    inner: Box, size: tuple[int, int], others: Sequence[Box], random: Random
) -> tuple[int, int] | None:
    """A corner at which the box `inner` of a piece is in the picture, and hides no other object."""
    x0, y0, x1, y1 = (int(value) for value in inner)
    room_x, room_y = size[0] - (x1 - x0), size[1] - (y1 - y0)
    if room_x < 0 or room_y < 0:
        return None
    taken: Boxes = boxes_of(others)
    for _ in range(PLACE_TRIES):
        x, y = int(random.integers(room_x + 1)), int(random.integers(room_y + 1))
        box = boxes_of([(x, y, x + x1 - x0, y + y1 - y0)])
        hidden = max(covered(taken, box).max(initial=0), covered(box, taken).max(initial=0))
        if hidden <= MAX_COVERED:
            return x - x0, y - y0
    return None


def _stocks(
    photographs: Mapping[str, Sequence[Path]], shares: Shares, first_track: int
) -> tuple[list[TrackRow], dict[str, Stock], list[Path]]:
    """A track row for each cut-out, the cut-outs of each split, and photographs without one."""
    rows: list[TrackRow] = []
    failed: list[Path] = []
    members: dict[str, dict[str, list[tuple[int, Cutout]]]] = {name: {} for name in NAMES}
    for label, paths in photographs.items():
        cutouts, without = cut_all(paths)
        failed += without
        for cutout, split in zip(cutouts, dealt(len(cutouts), shares), strict=True):
            track_id = first_track + len(rows)
            members[split].setdefault(label, []).append((track_id, cutout))
            note = NOTES.get(cutout.method, "")
            rows.append(TrackRow(track_id, label, str(cutout.path), 0.0, 0.0, 0, note))
    for split, share in zip(NAMES, (shares.train, shares.val, shares.test), strict=True):
        missing = [label for label in photographs if share and label not in members[split]]
        if missing:
            raise ConfigError(
                f"class {missing[0]} has too few photographs to have one in split {split}; give "
                "more, or another --split"
            )
    return rows, {split: Stock(by_label) for split, by_label in members.items()}, failed


def dealt(number: int, shares: Shares) -> list[str]:
    """A split for each photograph in order of name, dealt out so that every share is kept early."""
    share = dict(zip(NAMES, (shares.train, shares.val, shares.test), strict=True))
    counts = dict.fromkeys(NAMES, 0)
    splits = []
    for done in range(1, number + 1):
        split = max(NAMES, key=lambda name: share[name] * done - counts[name])
        counts[split] += 1
        splits.append(split)
    return splits


def _image(number: int, scene: Scene, bgr: Bgr, split: str) -> Image:
    height, width = bgr.shape[:2]
    name = f"{IMAGES}/composed-{number:06d}.jpg"
    return Image(number, name, width, height, split=split, source=f"{SOURCE}{scene.name}")


def _origins(
    known: list[Origin],
    licence: str,
    photographs: Mapping[str, Iterable[Path]],
    scenes: Sequence[Scene],
) -> list[Origin]:
    """The origins of a dataset with those of this composition."""
    folders = dict.fromkeys(str(path.parent) for paths in photographs.values() for path in paths)
    new = Origin(tuple(folders), licence, tuple(scene.name for scene in scenes))
    return known if new in known else [*known, new]
