"""Model inputs as the daemon makes them: single crops, and canvases packed with several.

For training they are random; for measuring they are always the same. The daemon's `Packer` lays out
and fills the canvases.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import RegionSettings
from edge.vision import picture as camera
from edge.vision.geometry import Boxes, Cell, clip
from edge.vision.regions import Layout, Packer
from mobiledet.augment import (
    Random,
    Sample,
    constrained_crop,
    expanded,
    kept,
    mirrored,
    relit,
    squeezed,
)
from mobiledet.dataset import Dataset, Picture

CACHE_BYTES = 600_000_000  # of decoded pictures: about 450 of 768x576 px
# The networks of models/README.md were trained with these. Shares of the kinds of canvas; the rest
# are the daemon's, packed or single as their boxes require.
SSD_CROP, EXPANDED, WHOLE = 0.12, 0.06, 0.08
ANY_PICTURE = 0.2  # share of pictures drawn without regard to their objects
MAX_SUBJECTS = 6  # cells of the daemon's largest grid
PACKED = 0.7  # share of the daemon's canvases on which several crops may be packed
# Ranges around the daemon's defaults, 1.6 and 1.5, so that other settings are learnt too.
CONTEXTS, SHRINKS = (1.2, 2.4), (1.0, 2.0)
# A blob against its object's box: shift of the centre (standard deviation) and half sides, both as
# shares of the box's sides. A blob is a little wide, as it joins places of a moving object.
SHIFT, HALF_WIDTHS, HALF_HEIGHTS = 0.1, (0.35, 0.7), (0.35, 0.65)
# A blob without an object: its height as a share of the picture's shorter side; width to height.
SIDES, ASPECTS = (0.05, 0.5), (0.4, 1.0)
DISTRACTORS = 2  # places without an object that are measured in each picture
SEED = 20  # of measurements


class Samples:
    """Draws training samples from a dataset.

    Thread-safe: a draw depends on its random generator alone.
    """

    def __init__(self, dataset: Dataset, size_px: int) -> None:
        self._dataset = dataset
        self._size_px = size_px
        self._of_class = [
            [i for i, picture in enumerate(dataset.pictures) if (picture.class_ids == c).any()]
            for c in range(len(dataset.labels))
        ]
        largest = max(p.width * p.height * 3 for p in dataset.pictures)
        cached = lru_cache(maxsize=max(1, CACHE_BYTES // largest))
        self._rgb = cached(lambda number: dataset.pictures[number].rgb())

    def draw(self, random: Random) -> Sample:
        """One canvas, (size, size, 3), with its objects."""
        number, first = self._pick(random)
        picture = self._dataset.pictures[number]
        sample = Sample(
            self._rgb(number), picture.boxes_xyxy, picture.class_ids, picture.ignored_xyxy
        )
        kind = random.random()
        if kind < SSD_CROP:
            sample = squeezed(sample, constrained_crop(sample, random), self._size_px)
        elif kind < SSD_CROP + EXPANDED:
            sample = squeezed(sample, expanded(sample, random), self._size_px)
        elif kind < SSD_CROP + EXPANDED + WHOLE:
            whole = (0, 0, picture.width, picture.height)
            sample = squeezed(sample, whole, self._size_px)
        else:
            sample = self._daemon_look(sample, first, random)
        if random.random() < 0.5:
            sample = mirrored(sample)
        return Sample(
            relit(sample.image, random), sample.boxes_xyxy, sample.class_ids, sample.ignored_xyxy
        )

    def _pick(self, random: Random) -> tuple[int, int | None]:
        """A picture and the object that it was drawn for: every class equally often."""
        if random.random() < ANY_PICTURE:
            return int(random.integers(len(self._dataset.pictures))), None
        class_id = int(random.integers(len(self._of_class)))
        number = int(random.choice(self._of_class[class_id]))
        rows = np.flatnonzero(self._dataset.pictures[number].class_ids == class_id)
        return number, int(random.choice(rows))

    def _daemon_look(self, sample: Sample, first: int | None, random: Random) -> Sample:
        """A canvas by the daemon's rules, for the object `first` or for any place."""
        height, width = sample.image.shape[:2]
        others = random.permutation(len(sample.boxes_xyxy))
        rows = ([first] if first is not None else []) + others.tolist()
        blobs = [as_blob(sample.boxes_xyxy[row], random) for row in dict.fromkeys(rows)]
        blobs += [_anywhere(sample, random) for _ in range(1 + int(random.integers(3)))]
        if first is None:
            random.shuffle(blobs)
        blobs = blobs[: 1 + int(random.integers(MAX_SUBJECTS))]
        settings = msgspec.structs.replace(
            RegionSettings(),
            context=float(random.uniform(*CONTEXTS)),
            max_shrink=float(random.uniform(*SHRINKS)),
            pack=bool(random.random() < PACKED),
        )
        packer = Packer(settings, (self._size_px, self._size_px), (width, height))
        layout, _ = packer.next(clip(np.array(blobs, np.float32), width, height))
        return on_canvas(packer, layout, sample)


def on_canvas(packer: Packer, layout: Layout, sample: Sample) -> Sample:
    """A picture's crops on one canvas, and its objects in pixels of the canvas."""
    canvas = packer.fill(layout, as_frame(sample.image)).copy()
    boxes, class_ids, ignored = [], [], []
    for cell in layout.cells:
        inside = kept(sample.boxes_xyxy, sample.class_ids, sample.ignored_xyxy, cell.crop_xyxy)
        boxes.append(cell.to_canvas(inside.boxes_xyxy))
        class_ids.append(inside.class_ids)
        ignored.append(cell.to_canvas(inside.ignored_xyxy))
    return Sample(canvas, np.concatenate(boxes), np.concatenate(class_ids), np.concatenate(ignored))


def as_frame(rgb: npt.NDArray[np.uint8]) -> camera.Picture:
    """A main picture of (h, w, 3) RGB."""
    return camera.Picture(camera.PixelFormat.RGB, (rgb,))


def as_blob(box_xyxy: Boxes, random: Random) -> Boxes:
    """A box such as motion gives an object, which differs a little from the object's true box."""
    x0, y0, x1, y1 = box_xyxy
    w, h = x1 - x0, y1 - y0
    cx = (x0 + x1) / 2 + random.normal(0, SHIFT) * w
    cy = (y0 + y1) / 2 + random.normal(0, SHIFT) * h
    half_w, half_h = w * random.uniform(*HALF_WIDTHS), h * random.uniform(*HALF_HEIGHTS)
    return np.array([cx - half_w, cy - half_h, cx + half_w, cy + half_h], np.float32)


def _anywhere(sample: Sample, random: Random) -> Boxes:
    """A blob of random size and place, as light, a branch or a shadow makes one."""
    height, width = sample.image.shape[:2]
    side = np.exp(random.uniform(*np.log(SIDES))) * min(width, height)
    x, y = random.uniform(0, width - side), random.uniform(0, height - side)
    return np.array([x, y, x + side * random.uniform(*ASPECTS), y + side], np.float32)


def measured_looks(
    picture: Picture, rgb: npt.NDArray[np.uint8], number: int, size_px: int
) -> Iterator[tuple[Layout, npt.NDArray[np.uint8]]]:
    """Layouts and canvases for measuring one picture; each canvas overwrites the one before.

    They show every object, cropped inexactly, and some places without an object. They depend on the
    picture and its number alone.
    """
    random = np.random.default_rng([SEED, number])
    sample = Sample(rgb, picture.boxes_xyxy, picture.class_ids, picture.ignored_xyxy)
    blobs = [as_blob(box, random) for box in picture.boxes_xyxy]
    blobs += [_anywhere(sample, random) for _ in range(DISTRACTORS)]
    size = (picture.width, picture.height)
    packer = Packer(RegionSettings(), (size_px, size_px), size)
    left = clip(np.array(blobs, np.float32), *size)
    while len(left):
        layout, shown = packer.next(left)
        yield layout, packer.fill(layout, as_frame(rgb))
        left = left[~shown]


def whole_look(
    picture: Picture, rgb: npt.NDArray[np.uint8], size_px: int
) -> tuple[Layout, npt.NDArray[np.uint8]]:
    """The picture squeezed to the model's input."""
    whole = (0, 0, picture.width, picture.height)
    layout = Layout((Cell(whole, (0, 0, size_px, size_px)),), np.array([whole], np.float32))
    packer = Packer(RegionSettings(), (size_px, size_px), (picture.width, picture.height))
    return layout, packer.fill(layout, as_frame(rgb))
