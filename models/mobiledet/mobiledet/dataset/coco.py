"""COCO JSON: most labelling tools, `edge-train harvest` and `edge-train distill` write it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mobiledet.dataset.base import (
    Dataset,
    DatasetError,
    Origin,
    Picture,
    as_boxes,
    checked,
    checked_box,
    existing_image,
)


class Image(msgspec.Struct, omit_defaults=True):
    """A picture. split, source, time_s and frame_index are additions of this project."""

    id: int
    file_name: str
    width: int
    height: int
    split: str = ""
    source: str = ""
    time_s: float = 0.0
    frame_index: int = 0


class Category(msgspec.Struct):
    """A class of objects."""

    id: int
    name: str


class Annotation(msgspec.Struct, omit_defaults=True):
    """A box: left, top, width, height. iscrowd: 1 for a place to ignore, whatever its category.

    track_id (0 = none) and score are additions of this project.
    """

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float = 0.0
    iscrowd: int = 0
    track_id: int = 0
    score: float = 1.0


class Coco(msgspec.Struct, omit_defaults=True):
    """A whole file. rejected and origins are additions of this project.

    rejected: boxes of rejected tracks. origins: of the photographs in composed pictures.
    """

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]
    rejected: list[Annotation] = []
    origins: list[Origin] = []


def load(path: Path) -> Coco:
    """Reads a file. Raises DatasetError that names the file and the fault in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Coco)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{path}: not COCO JSON: {error}") from error


def read(path: Path, split: str = "") -> Dataset:
    """The pictures of one split, or all for "". Images lie beside the file. Raises DatasetError."""
    coco = load(path)
    _check_unique(path, "image", [image.id for image in coco.images])
    _check_unique(path, "category", [category.id for category in coco.categories])
    _check_unique(path, "category", [category.name for category in coco.categories])
    if split and coco.images and not any(image.split for image in coco.images):
        raise DatasetError(f"{path}: its pictures have no splits; give '' as split to use them all")
    known = {category.id: row for row, category in enumerate(coco.categories)}
    by_image: dict[int, list[Annotation]] = {image.id: [] for image in coco.images}
    for annotation in coco.annotations:
        where = f"{path}, annotation {annotation.id}"
        if annotation.image_id not in by_image:
            raise DatasetError(f"{where}: no image {annotation.image_id}")
        if annotation.category_id not in known and not annotation.iscrowd:
            raise DatasetError(f"{where}: no category {annotation.category_id}")
        by_image[annotation.image_id].append(annotation)
    pictures = [
        _picture(path, image, by_image[image.id], known)
        for image in coco.images
        if not split or image.split == split
    ]
    names = [category.name for category in coco.categories]
    dataset = checked(path, names, pictures, split)
    return dataclasses.replace(dataset, origins=tuple(coco.origins))


def _check_unique(path: Path, kind: str, values: Sequence[object]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise DatasetError(f"{path}: two entries for {kind} {twice[0]}")


def _picture(
    path: Path, image: Image, annotations: list[Annotation], known: dict[int, int]
) -> Picture:
    file = existing_image(path, path.parent / image.file_name)
    boxes, class_ids, ignored = [], [], []
    for annotation in annotations:
        left, top, width, height = annotation.bbox
        where = f"{path}, {image.file_name}, annotation {annotation.id}"
        box = checked_box(where, (left, top, left + width, top + height), image.width, image.height)
        if annotation.iscrowd:
            ignored.append(box)
        else:
            boxes.append(box)
            class_ids.append(known[annotation.category_id])
    ids = np.array(class_ids, np.int64)
    return Picture(file, image.width, image.height, as_boxes(boxes), ids, as_boxes(ignored))
