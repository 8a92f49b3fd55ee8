"""Pictures for the calibration of int8 ranges, made as the daemon makes canvases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Crop = np.ndarray[Any, np.dtype[np.uint8]]

CALIBRATION_CROPS = 120
CROP_SIDES_PX = (150, 420)  # range of the side of a single crop in the frame
PACKED_SIDE_PX = 140  # side of a packed crop in the frame
GREY = 127  # of an empty canvas
SEED = 20


def calibration_crops(videos: list[Path], side_px: int) -> list[Crop]:
    """(side, side, 3) RGB: whole frames, single crops and packed quarters of footage."""
    random = np.random.default_rng(SEED)
    per_video = -(-CALIBRATION_CROPS // len(videos))
    crops = []
    for video in videos:
        for index, frame in enumerate(frames(video, per_video)):
            if index % 4 == 0:
                crops.append(_resized(frame, side_px))
            elif index % 4 == 1:
                crops.append(_packed(frame, side_px, random))
            else:
                crops.append(_crop(frame, side_px, int(random.integers(*CROP_SIDES_PX)), random))
    return crops[:CALIBRATION_CROPS]


def pictures(folder: Path, side_px: int, share: float) -> list[Crop]:
    """(side, side, 3) RGB: each picture of a folder alone on a canvas, in the order of the names.

    share: of the canvas that the picture's longer side takes. Transparent parts become grey.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    if not paths:
        sys.exit(f"{folder}: no PNG or JPEG pictures")
    return [alone(image, side_px, share) for path in paths if (image := _opaque(path)) is not None]


def alone(image: Crop, side_px: int, share: float = 1.0) -> Crop:
    """(side, side, 3): an image of any size in the middle of a grey canvas."""
    height, width = image.shape[:2]
    scale = share * side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.full((side_px, side_px, 3), GREY, np.uint8)
    x, y = (side_px - size[0]) // 2, (side_px - size[1]) // 2
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    canvas[y : y + size[1], x : x + size[0]] = small
    return canvas


def frames(video: Path, count: int) -> Iterator[Crop]:
    """(h, w, 3) RGB frames, spread evenly over the video."""
    reader = cv2.VideoCapture(str(video))
    total = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    if total == 0:
        sys.exit(f"{video}: not a readable video")
    wanted = set(np.linspace(0, total - 1, count).astype(int).tolist())
    for index in range(total):
        read, frame = reader.read()
        if read and index in wanted:
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)


def _opaque(path: Path) -> Crop | None:
    """(h, w, 3) RGB; None for a file that is not a picture."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        return None
    colour = np.asarray(image[..., 2::-1], np.float32)
    if image.shape[2] == 4:
        alpha = np.asarray(image[..., 3:], np.float32) / 255
        colour = colour * alpha + GREY * (1 - alpha)
    return colour.round().astype(np.uint8)


def _resized(frame: Crop, side_px: int) -> Crop:
    return np.asarray(cv2.resize(frame, (side_px, side_px), interpolation=cv2.INTER_AREA))


def _crop(frame: Crop, side_px: int, source_px: int, random: np.random.Generator) -> Crop:
    """(side, side, 3): a random square of the frame, `source_px` wide, scaled."""
    height, width = frame.shape[:2]
    source_px = min(source_px, height, width)
    x = int(random.integers(0, width - source_px + 1))
    y = int(random.integers(0, height - source_px + 1))
    return np.asarray(cv2.resize(frame[y : y + source_px, x : x + source_px], (side_px, side_px)))


def _packed(frame: Crop, side_px: int, random: np.random.Generator) -> Crop:
    """(side, side, 3): four crops on one canvas."""
    canvas = np.full((side_px, side_px, 3), GREY, np.uint8)
    cell = side_px // 2 - 2
    for y in (0, side_px - cell):
        for x in (0, side_px - cell):
            canvas[y : y + cell, x : x + cell] = _crop(frame, cell, PACKED_SIDE_PX, random)
    return canvas
