"""Writes a dataset folder: the pictures first, and `dataset.json` last.

A folder without `dataset.json` is not a dataset, so that training never reads an incomplete one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np

from edge.vision.geometry import Box
from edge.vision.picture import Plane
from mobiledet.dataset.coco import Annotation, Coco
from mobiledet.files import write_file

DATASET: Final = "dataset.json"
IMAGES: Final = "images"
JPEG_QUALITY: Final = 92  # of 100; chosen, near OpenCV's default of 95


def write_picture(folder: Path, file_name: str, bgr: Plane) -> None:
    """Writes one picture of a dataset. bgr: (h, w, 3) uint8. Raises FileError."""
    write_file(folder / file_name, jpeg(bgr, JPEG_QUALITY))


def write_document(folder: Path, coco: Coco) -> None:
    """Writes `dataset.json`; call it when all its pictures are written. Raises FileError."""
    write_file(folder / DATASET, msgspec.json.format(msgspec.json.encode(coco), indent=1) + b"\n")


def annotation(
    number: int,
    image_id: int,
    box_xyxy: Box,
    category_id: int,
    *,
    iscrowd: bool,
    track_id: int = 0,
    score: float = 1.0,
) -> Annotation:
    """A box in pixels as COCO has it, rounded to tenths: left, top, width, height."""
    x0, y0, x1, y1 = (round(float(value), 1) for value in box_xyxy)
    bbox = (x0, y0, round(x1 - x0, 1), round(y1 - y0, 1))
    return Annotation(
        id=number,
        image_id=image_id,
        category_id=category_id,
        bbox=bbox,
        area=round(bbox[2] * bbox[3], 1),
        iscrowd=int(iscrowd),
        track_id=track_id,
        score=round(float(score), 3),
    )


def jpeg(bgr: Plane, quality: int) -> bytes:
    """(h, w, 3) uint8 -> a JPEG file."""
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(data).tobytes()
