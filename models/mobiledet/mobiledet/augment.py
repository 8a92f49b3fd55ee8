"""The augmentation of SSD (Liu et al., 2016): light, mirror, crops that keep objects, margins.

Pure functions of a sample and a random generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes, clip, covered, iou
from edge.vision.regions import GREY

Random = np.random.Generator
Rect = tuple[int, int, int, int]

# From the paper: IoU of a crop with an object, its side as a share of the picture's, aspect ratio.
MIN_IOUS = (0.1, 0.3, 0.5, 0.7, 0.9)
MIN_SIDE, MAX_ASPECT = 0.1, 2.0
# The networks of models/README.md were trained with the following.
# Share of an object that a crop shows: from VISIBLE on the object counts, under HIDDEN it is
# background, and between them it is a place to ignore.
VISIBLE, HIDDEN = 0.6, 0.15
MIN_SIDE_PX = 16  # of a crop
CROP_TRIES = 20
MAX_EXPAND = 2.5  # side of the picture with its margin, as a multiple of the picture's side
GAIN, CHANNEL_GAIN, OFFSET, GAMMA = 0.3, 0.08, 24.0, 0.25  # largest changes; OFFSET in levels
GREY_SHARE = 0.1  # pictures without colour, as infrared gives at night
SOFT_SHARE, NOISE_SHARE, NOISE_LEVELS = 0.15, 0.2, 8  # shares of pictures; levels of 255


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with its objects.

    image: (h, w, 3) uint8 RGB. boxes_xyxy: (n, 4) and ignored_xyxy: (k, 4), in its pixels.
    class_ids: (n,).
    """

    image: npt.NDArray[np.uint8]
    boxes_xyxy: Boxes
    class_ids: npt.NDArray[np.int64]
    ignored_xyxy: Boxes


@dataclass(frozen=True, slots=True)
class Kept:
    """The objects of a picture that a crop still shows, in pixels of the picture."""

    boxes_xyxy: Boxes
    class_ids: npt.NDArray[np.int64]
    ignored_xyxy: Boxes


def kept(
    boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes, crop: Rect
) -> Kept:
    """Cuts objects at the crop's border; those that are mostly hidden become places to ignore."""
    window = np.array([crop], np.float32)
    shown = covered(boxes_xyxy, window)[:, 0]
    inside = _cut(boxes_xyxy, crop)
    whole, part = shown >= VISIBLE, (shown >= HIDDEN) & (shown < VISIBLE)
    known = covered(ignored_xyxy, window)[:, 0] > 0
    ignored = np.concatenate([inside[part], _cut(ignored_xyxy[known], crop)])
    return Kept(inside[whole], class_ids[whole], ignored)


def _cut(boxes_xyxy: Boxes, crop: Rect) -> Boxes:
    """The part of each box in the crop, main pixels."""
    x0, y0, x1, y1 = crop
    corner = np.array([x0, y0, x0, y0], np.float32)
    return clip(boxes_xyxy - corner, x1 - x0, y1 - y0) + corner


def squeezed(sample: Sample, crop: Rect, size_px: int) -> Sample:
    """A crop of a sample, resized to a square picture; grey where it reaches past the border."""
    x0, y0, x1, y1 = crop
    height, width = sample.image.shape[:2]
    ix0, iy0, ix1, iy1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    sx, sy = size_px / (x1 - x0), size_px / (y1 - y0)
    left, top = round((ix0 - x0) * sx), round((iy0 - y0) * sy)
    right = max(left + 1, round((ix1 - x0) * sx))
    bottom = max(top + 1, round((iy1 - y0) * sy))
    image = np.full((size_px, size_px, 3), GREY, np.uint8)
    interpolation = cv2.INTER_AREA if sx < 1 else cv2.INTER_LINEAR
    inner = cv2.resize(
        sample.image[iy0:iy1, ix0:ix1], (right - left, bottom - top), interpolation=interpolation
    )
    image[top:bottom, left:right] = inner[: size_px - top, : size_px - left]
    inside = kept(sample.boxes_xyxy, sample.class_ids, sample.ignored_xyxy, crop)
    corner = np.array([x0, y0, x0, y0], np.float32)
    scale = np.array([sx, sy, sx, sy], np.float32)
    boxes, ignored = ((b - corner) * scale for b in (inside.boxes_xyxy, inside.ignored_xyxy))
    return Sample(image, boxes, inside.class_ids, ignored)


def constrained_crop(sample: Sample, random: Random) -> Rect:
    """A crop that overlaps an object by an IoU drawn from `MIN_IOUS`, or the whole picture."""
    height, width = sample.image.shape[:2]
    least = random.choice(MIN_IOUS)
    for _ in range(CROP_TRIES if len(sample.boxes_xyxy) else 0):
        w, h = (round(side * random.uniform(MIN_SIDE, 1.0)) for side in (width, height))
        if min(w, h) < MIN_SIDE_PX or not 1 / MAX_ASPECT <= w / h <= MAX_ASPECT:
            continue
        x, y = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
        window = np.array([[x, y, x + w, y + h]], np.float32)
        if iou(sample.boxes_xyxy, window).max() >= least:
            return x, y, x + w, y + h
    return 0, 0, width, height


def expanded(sample: Sample, random: Random) -> Rect:
    """The whole picture with a margin around it, which `squeezed` leaves grey."""
    height, width = sample.image.shape[:2]
    ratio = random.uniform(1.0, MAX_EXPAND)
    x = round(random.uniform(0, width * (ratio - 1)))
    y = round(random.uniform(0, height * (ratio - 1)))
    return -x, -y, round(width * ratio) - x, round(height * ratio) - y


def mirrored(sample: Sample) -> Sample:
    """The sample with left and right exchanged."""
    width = sample.image.shape[1]
    image = np.asarray(cv2.flip(sample.image, 1), np.uint8)  # NumPy's copy takes ten times as long
    boxes, ignored = (
        np.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], axis=1)
        for b in (sample.boxes_xyxy, sample.ignored_xyxy)
    )
    return Sample(image, boxes, sample.class_ids, ignored)


def relit(image: npt.NDArray[np.uint8], random: Random) -> npt.NDArray[np.uint8]:
    """Imitates other light and another camera.

    Gain, offset, gamma and white balance change; some pictures become grey, soft or noisy.
    """
    if random.random() < GREY_SHARE:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    gains = random.uniform(1 - GAIN, 1 + GAIN) * random.uniform(
        1 - CHANNEL_GAIN, 1 + CHANNEL_GAIN, 3
    )
    levels = np.linspace(0, 1, 256)[:, None] ** random.uniform(1 - GAMMA, 1 + GAMMA) * 255
    table = (levels - GREY) * gains + GREY + random.uniform(-OFFSET, OFFSET)
    image = np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None]), np.uint8)
    if random.random() < SOFT_SHARE:
        image = np.asarray(cv2.blur(image, (3, 3)), np.uint8)
    if random.random() < NOISE_SHARE:
        noise = random.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, image.shape, np.int16)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image
