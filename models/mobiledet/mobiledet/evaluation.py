"""Measures a model on a labelled dataset: mAP as in COCO, and F1 at the daemon's min_score."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import ModelSettings
from edge.errors import PermanentError
from edge.vision.detector.model_file import DEFAULT_MIN_SCORE
from edge.vision.geometry import Boxes, covered, iou
from edge.vision.pipeline import DetectorLike
from edge.vision.regions import combine, unpack
from edge.vision.types import Detections
from mobiledet.dataset import Dataset, Picture
from mobiledet.looks import measured_looks, whole_look
from mobiledet.optional import import_for

Looking = Literal["regions", "whole"]
MIN_SCORE = 0.01  # so low, as mAP needs nearly the whole curve of precision and recall
SCORE, MAX_IOU = DEFAULT_MIN_SCORE, ModelSettings().max_iou
MIN_IOU = 0.5  # a box with less is not the object's, as in Pascal VOC
Progress = Callable[[int, int], None]


class ClassScore(msgspec.Struct, frozen=True):
    """Figures of one class. ap50: AP at IoU .5. precision, recall, f1: at SCORE."""

    label: str
    objects: int
    ap50: float
    precision: float
    recall: float
    f1: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of all classes. map: mean AP over IoU .5 to .95 and all classes.

    precision, recall, f1: at SCORE, with the objects of all classes counted together.
    """

    pictures: int
    invocations: int
    map: float
    map50: float
    precision: float
    recall: float
    f1: float
    classes: tuple[ClassScore, ...]


def evaluate(
    detector: DetectorLike, dataset: Dataset, looking: Looking, progress: Progress
) -> Report:
    """Measures with the daemon's own canvases (`regions`), or with whole pictures (`whole`).

    progress: called with the number of pictures done, and of all. Raises PermanentError if the
    model lacks a class of the dataset.
    """
    dataset_ids = _dataset_ids(detector.labels, dataset.labels)
    results, invocations = [], 0
    for number, picture in enumerate(dataset.pictures):
        detections, count = _detect(detector, picture, number, looking)
        class_ids = dataset_ids[detections.class_ids]
        known = class_ids >= 0
        results.append(
            Detections(detections.boxes_xyxy[known], detections.scores[known], class_ids[known])
        )
        invocations += count
        progress(number + 1, len(dataset.pictures))
    return score(dataset, results, invocations)


def _dataset_ids(model: tuple[str, ...], dataset: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """(labels of the model,) the dataset's class id of each, -1 where it has none."""
    missing = [label for label in dataset if label not in model]
    if missing:
        raise PermanentError(
            f"the model's labels are {', '.join(model)}: the dataset's {missing[0]} is missing"
        )
    return np.array([dataset.index(x) if x in dataset else -1 for x in model], np.int64)


def _detect(
    detector: DetectorLike, picture: Picture, number: int, looking: Looking
) -> tuple[Detections, int]:
    """All detections in a picture, and the number of invocations."""
    rgb, size_px = picture.rgb(), detector.input_size[0]
    if looking == "whole":
        looks = [whole_look(picture, rgb, size_px)]
    else:
        looks = measured_looks(picture, rgb, number, size_px)  # type: ignore[assignment]
    parts, count = [], 0
    for layout, canvas in looks:
        detections = detector.detect(canvas, MIN_SCORE)
        parts += unpack(layout, detections, (picture.width, picture.height))
        count += 1
    return combine(parts, MAX_IOU), count


def score(dataset: Dataset, results: list[Detections], invocations: int) -> Report:
    """Scores detections. results: those in each picture, with the dataset's class ids."""
    precisions = _average_precisions(dataset, results)
    counts = np.zeros((len(dataset.labels), 3), np.int64)  # objects, right, wrong
    for picture, detections in zip(dataset.pictures, results, strict=True):
        _count(picture, detections[detections.scores >= SCORE], counts)
    classes = tuple(
        ClassScore(label, int(row[0]), round(float(ap), 4), *_f1(row))
        for label, row, ap in zip(dataset.labels, counts, precisions[:, 0], strict=True)
    )
    precision, recall, f1 = _f1(counts.sum(axis=0))
    return Report(
        pictures=len(dataset.pictures),
        invocations=invocations,
        map=round(float(precisions.mean()), 4),
        map50=round(float(precisions[:, 0].mean()), 4),
        precision=precision,
        recall=recall,
        f1=f1,
        classes=classes,
    )


def _f1(counts: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """(3,) objects, right, wrong -> precision, recall, F1."""
    objects, right, wrong = (int(value) for value in counts)
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / objects if objects else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return round(precision, 4), round(recall, 4), round(f1, 4)


def _count(picture: Picture, detections: Detections, counts: npt.NDArray[np.int64]) -> None:
    """Adds to (classes, 3) objects, right and wrong.

    Each detection, best first, takes the free object of its class that it overlaps most.
    """
    overlap = iou(detections.boxes_xyxy, picture.boxes_xyxy)
    overlap[detections.class_ids[:, None] != picture.class_ids[None, :]] = 0
    np.add.at(counts[:, 0], picture.class_ids, 1)
    ignored = _ignored(detections.boxes_xyxy, picture.ignored_xyxy)
    for row in np.argsort(-detections.scores, kind="stable"):
        best = int(overlap[row].argmax()) if overlap.shape[1] else -1
        if best >= 0 and overlap[row, best] >= MIN_IOU:
            overlap[:, best] = 0
            counts[detections.class_ids[row], 1] += 1
        elif not ignored[row]:
            counts[detections.class_ids[row], 2] += 1


def _ignored(boxes_xyxy: Boxes, ignored_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    if len(ignored_xyxy) == 0:
        return np.zeros(len(boxes_xyxy), np.bool_)
    return np.asarray(covered(boxes_xyxy, ignored_xyxy).max(axis=1) >= MIN_IOU)


def _average_precisions(dataset: Dataset, results: list[Detections]) -> npt.NDArray[np.float64]:
    """(classes, 10) AP for IoU .5, .55 to .95; 0 where there is no detection."""
    rows = [
        {"image_id": number, "category_id": int(class_id), "bbox": box, "score": float(value)}
        for number, each in enumerate(results, 1)
        for box, value, class_id in zip(_xywh(each), each.scores, each.class_ids + 1, strict=True)
    ]
    if not rows:
        return np.zeros((len(dataset.labels), 10))
    coco, cocoeval = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = _as_coco(dataset)
        truth.createIndex()
        measured = cocoeval.COCOeval(truth, truth.loadRes(rows), "bbox")
        measured.evaluate()
        measured.accumulate()
    # IoU, recall, class, area (all), most detections (100); -1 where a class has no object
    curves = np.asarray(measured.eval["precision"])[:, :, :, 0, -1]
    return np.asarray(np.clip(curves, 0, None).mean(axis=1).T)


def _as_coco(dataset: Dataset) -> dict[str, Any]:
    """The ground truth for pycocotools, with each ignored place once for every class."""
    annotations: list[dict[str, Any]] = []

    def add(number: int, category: int, box: Boxes, crowd: int) -> None:
        x0, y0, x1, y1 = (float(value) for value in box)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": category,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": crowd,
            }
        )

    classes = range(1, len(dataset.labels) + 1)
    for number, picture in enumerate(dataset.pictures, 1):
        for box, class_id in zip(picture.boxes_xyxy, picture.class_ids, strict=True):
            add(number, int(class_id) + 1, box, 0)
        for box in picture.ignored_xyxy:
            for category in classes:
                add(number, category, box, 1)
    return {
        "images": [{"id": n} for n in range(1, len(dataset.pictures) + 1)],
        "annotations": annotations,
        "categories": [{"id": c, "name": dataset.labels[c - 1]} for c in classes],
    }


def _xywh(detections: Detections) -> list[list[float]]:
    corners = detections.boxes_xyxy
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    rows: list[list[float]] = sides.tolist()
    return rows


def _pycocotools() -> tuple[Any, Any]:
    coco, cocoeval = (
        import_for("measuring mAP", f"pycocotools.{name}", "pycocotools")
        for name in ("coco", "cocoeval")
    )
    return coco, cocoeval
