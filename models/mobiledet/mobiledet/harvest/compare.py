"""Compares a harvest with ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.bench.ground_truth import NONE, load_ground_truth
from edge.errors import ConfigError
from edge.vision.geometry import Boxes, clip, covered, iou
from mobiledet.dataset import coco as coco_file
from mobiledet.dataset.coco import Annotation
from mobiledet.dataset.writing import DATASET
from mobiledet.harvest.trails import boxes_of

MIN_IOU = 0.5  # a box with less is not the object's, as in Pascal VOC
IN_IGNORED = 0.5  # share of an object inside one ignored place, from which on it counts as hidden


@dataclass(frozen=True, slots=True)
class Comparison:
    """Numbers of objects and boxes of one footage, with all named tracks as one class.

    matched: objects with a box. hidden: objects without a box, in ignored places. missed: objects
    that would be learnt as background.
    """

    pictures: int
    objects: int
    boxes: int
    matched: int
    hidden: int

    @property
    def precision(self) -> float:
        return self.matched / self.boxes if self.boxes else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.objects if self.objects else 0.0

    @property
    def missed(self) -> int:
        return self.objects - self.matched - self.hidden


def compare(folder: Path, ground_truth: Path, source: str = "", split: str = "") -> Comparison:
    """Compares the pictures of one footage. source: its name, if the dataset holds several.

    Raises ConfigError if `source` names none of them, and EdgeError for bad files.
    """
    coco = coco_file.load(folder / DATASET)
    truth = load_ground_truth(ground_truth)
    sources = sorted({image.source for image in coco.images})
    if source not in sources and (source or len(sources) != 1):
        raise ConfigError(f"--source {source}: expected one of {', '.join(sources)}")
    images = [
        image
        for image in coco.images
        if image.source == (source or sources[0]) and split in ("", image.split)
    ]
    boxes, ignored = _by_image(coco.annotations, 0), _by_image(coco.annotations, 1)
    totals = np.zeros(4, np.int64)
    for image in images:
        objects = clip(truth.get(image.frame_index, NONE).boxes_xyxy, image.width, image.height)
        harvested = boxes.get(image.id, NONE.boxes_xyxy)
        is_matched = matched(objects, harvested)
        left = objects[~is_matched]
        places = ignored.get(image.id, NONE.boxes_xyxy)
        hidden = covered(left, places).max(axis=1, initial=0) > IN_IGNORED
        totals += [len(objects), len(harvested), is_matched.sum(), hidden.sum()]
    return Comparison(len(images), *totals.tolist())


def matched(objects_xyxy: Boxes, boxes_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    """(n, 4), (m, 4) -> (n,) whether an object has a box, one to one, the best overlap first."""
    result = np.zeros(len(objects_xyxy), np.bool_)
    overlap = iou(objects_xyxy, boxes_xyxy)
    while overlap.size and overlap.max() >= MIN_IOU:
        row, column = divmod(int(overlap.argmax()), overlap.shape[1])
        result[row] = True
        overlap[row, :] = overlap[:, column] = 0
    return result


def _by_image(annotations: list[Annotation], iscrowd: int) -> dict[int, Boxes]:
    rows: dict[int, list[tuple[float, float, float, float]]] = {}
    for annotation in annotations:
        if annotation.iscrowd == iscrowd:
            left, top, width, height = annotation.bbox
            rows.setdefault(annotation.image_id, []).append((left, top, left + width, top + height))
    return {image_id: boxes_of(boxes) for image_id, boxes in rows.items()}
