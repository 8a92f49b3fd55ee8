"""MOTChallenge: `gt/gt.txt` and the frames `img1/000001.jpg` and so on, with one class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.bench.ground_truth import NONE, load_ground_truth
from edge.errors import PermanentError
from edge.vision.geometry import clip
from mobiledet.dataset.base import Dataset, DatasetError, Picture, as_boxes, checked

PEDESTRIAN = "person"


def read(folder: Path) -> Dataset:
    """Reads a folder. Boxes may cross the border in this format; they are cut there.

    Raises DatasetError for a frame without its image, a box outside its picture or a damaged line.
    """
    path = folder / "gt" / "gt.txt"
    try:
        truth = load_ground_truth(path)
    except PermanentError as error:
        raise DatasetError(str(error)) from error
    images = {int(p.stem): p for p in (folder / "img1").glob("*.*") if p.stem.isdigit()}
    missing = sorted(frame + 1 for frame in truth if frame + 1 not in images)
    if missing:
        raise DatasetError(f"{path}: the image {folder / 'img1'}/{missing[0]:06d}.jpg is missing")
    pictures = []
    for number, image in sorted(images.items()):
        shape = _size(image)
        boxes = clip(truth.get(number - 1, NONE).boxes_xyxy, *shape)
        if ((boxes[:, 2:] - boxes[:, :2]) <= 0).any():
            raise DatasetError(f"{path}: a box of frame {number} lies outside its picture")
        ids = np.zeros(len(boxes), np.int64)
        pictures.append(Picture(image, *shape, boxes, ids, as_boxes([])))
    return checked(path, [PEDESTRIAN], pictures)


def _size(path: Path) -> tuple[int, int]:
    image = cv2.imread(str(path))
    if image is None:
        raise DatasetError(f"{path}: not a readable image")
    return image.shape[1], image.shape[0]
