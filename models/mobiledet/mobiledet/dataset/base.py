"""A dataset in memory, and the checks that all formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import EXIT_USAGE, PermanentError
from edge.vision.geometry import Boxes

OUTSIDE_PX = 1.0  # a box may cross the border by up to this, as tools round; it is cut there


class DatasetError(PermanentError):
    """A dataset that can't be used for training. The message begins with the file at fault."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture.

    boxes_xyxy: (n, 4) float32 pixels. class_ids: (n,) int64. ignored_xyxy: (k, 4) places that are
    neither object nor background.
    """

    path: Path
    width: int
    height: int
    boxes_xyxy: Boxes
    class_ids: npt.NDArray[np.int64]
    ignored_xyxy: Boxes

    def rgb(self) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8. Raises DatasetError if the file is not an image of the expected size."""
        image = cv2.imread(str(self.path))
        if image is None:
            raise DatasetError(f"{self.path}: not a readable image")
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            raise DatasetError(
                f"{self.path}: the image has {width}x{height} pixels, its labels are for "
                f"{self.width}x{self.height}"
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


class Origin(msgspec.Struct, frozen=True):
    """Where photographs that were pasted come from. licence: as given, "" if it was not stated."""

    photographs: tuple[str, ...]
    licence: str
    scenes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures and the names of their classes, by class id.

    origins: of the photographs in composed pictures.
    """

    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]
    origins: tuple[Origin, ...] = ()


def thinned(dataset: Dataset, count: int) -> Dataset:
    """Up to `count` pictures of a dataset, evenly chosen.

    Raises DatasetError if no object of a class is left.
    """
    total = len(dataset.pictures)
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return checked(
        dataset.pictures[0].path.parent, dataset.labels, [dataset.pictures[row] for row in rows]
    )


def as_boxes(rows: Sequence[Sequence[float]]) -> Boxes:
    """(n, 4) float32, also for n = 0."""
    return np.array(rows, np.float32).reshape(-1, 4)


def checked_box(
    where: str, box_xyxy: Sequence[float], width: int, height: int
) -> tuple[float, float, float, float]:
    """The box, cut at the borders. Raises DatasetError if it is empty or outside the picture."""
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    shown = f"box {x0:g},{y0:g} to {x1:g},{y1:g}"
    if not (x1 > x0 and y1 > y0):
        raise DatasetError(f"{where}: {shown} is empty")
    left, top, right, bottom = max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)
    beyond = max(left - x0, top - y0, x1 - right, y1 - bottom)
    if beyond > OUTSIDE_PX or not (right > left and bottom > top):
        raise DatasetError(f"{where}: {shown} lies outside its picture of {width}x{height}")
    return left, top, right, bottom


def existing_image(where: Path, path: Path) -> Path:
    """The path. Raises DatasetError if the image, which the file `where` names, is missing."""
    if not path.is_file():
        raise DatasetError(f"{where}: the image {path} is missing")
    return path


def checked(
    where: Path, labels: Sequence[str], pictures: Sequence[Picture], split: str = ""
) -> Dataset:
    """A dataset with objects of every class. Raises DatasetError.

    split: its name; `val` and `test`, which are only for measuring, may lack a class.
    """
    if not pictures:
        place = f"split {split}" if split else "it"
        raise DatasetError(f"{where}: no pictures in {place}")
    counts = np.zeros(len(labels), np.int64)
    for picture in pictures:
        np.add.at(counts, picture.class_ids, 1)
    for label, count in zip(labels, counts, strict=True):
        if count == 0 and split not in ("val", "test"):
            raise DatasetError(
                f"{where}: class {label} has no object; remove the class or label some"
            )
    if not labels:
        raise DatasetError(f"{where}: it names no class")
    return Dataset(tuple(labels), tuple(pictures))
