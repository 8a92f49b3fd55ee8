"""How good a model is on a labelled dataset: mAP as COCO has it, and F1 at the daemon's score."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import PermanentError
from edge.vision.geometry import Boxes, covered, iou
from edge.vision.pipeline import DetectorLike
from edge.vision.regions import combine, unpack
from edge.vision.types import Detections
from mobiledet.dataset import Dataset, Picture
from mobiledet.looks import measured_looks, whole_look
from mobiledet.optional import import_for

Looking = Literal["regions", "whole"]
LEAST_SCORE = 0.01  # mAP looks at the whole curve
SCORE = 0.5  # at which the daemon reports
MIN_IOU = 0.5
MAX_IOU = 0.45  # of two boxes that are one object, as the daemon has it
Progress = Callable[[int, int], None]


class ClassScore(msgspec.Struct, frozen=True):
    """Of one class: how many objects there are, AP at IoU .5, F1 and its parts at SCORE."""

    label: str
    objects: int
    ap50: float
    precision: float
    recall: float
    f1: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """map: mean AP over IoU .5 to .95 and classes. f1 and its parts: of all classes together."""

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
    """Measures through the daemon's own canvases (`regions`), or by whole pictures.

    Raises PermanentError where the model lacks a class of the dataset.
    """
    own_ids = _own_ids(detector.labels, dataset.labels)
    found, invocations = [], 0
    for number, picture in enumerate(dataset.pictures):
        seen, looks = _see(detector, picture, number, looking)
        known = own_ids[seen.class_ids]
        rows = known >= 0
        found.append(Detections(seen.boxes_xyxy[rows], seen.scores[rows], known[rows]))
        invocations += looks
        progress(number + 1, len(dataset.pictures))
    return score(dataset, found, invocations)


def _own_ids(model: tuple[str, ...], dataset: tuple[str, ...]) -> npt.NDArray[np.int64]:
    missing = [label for label in dataset if label not in model]
    if missing:
        raise PermanentError(f"the model knows {', '.join(model)}, not the dataset's {missing[0]}")
    return np.array([dataset.index(x) if x in dataset else -1 for x in model], np.int64)


def _see(
    detector: DetectorLike, picture: Picture, number: int, looking: Looking
) -> tuple[Detections, int]:
    rgb, size_px = picture.rgb(), detector.input_size[0]
    if looking == "whole":
        looks = [whole_look(picture, rgb, size_px)]
    else:
        looks = measured_looks(picture, rgb, number, size_px)  # type: ignore[assignment]
    parts, count = [], 0
    for layout, canvas in looks:
        seen = detector.detect(canvas, LEAST_SCORE)
        parts += unpack(layout, seen, (picture.width, picture.height))
        count += 1
    return combine(parts, MAX_IOU), count


def score(dataset: Dataset, found: list[Detections], invocations: int) -> Report:
    """found: what was seen in each picture, class ids of the dataset, main pixels."""
    precisions = _average_precisions(dataset, found)
    counts = np.zeros((len(dataset.labels), 3), np.int64)  # objects, right, wrong
    for picture, seen in zip(dataset.pictures, found, strict=True):
        _count(picture, seen[seen.scores >= SCORE], counts)
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
    objects, right, wrong = (int(value) for value in counts)
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / objects if objects else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return round(precision, 4), round(recall, 4), round(f1, 4)


def _count(picture: Picture, seen: Detections, counts: npt.NDArray[np.int64]) -> None:
    """Each detection, best first, takes the free object of its class that it overlaps most."""
    overlap = iou(seen.boxes_xyxy, picture.boxes_xyxy)
    overlap[seen.class_ids[:, None] != picture.class_ids[None, :]] = 0
    np.add.at(counts[:, 0], picture.class_ids, 1)
    ignored = _ignored(seen.boxes_xyxy, picture.ignored_xyxy)
    for row in np.argsort(-seen.scores, kind="stable"):
        best = int(overlap[row].argmax()) if overlap.shape[1] else -1
        if best >= 0 and overlap[row, best] >= MIN_IOU:
            overlap[:, best] = 0
            counts[seen.class_ids[row], 1] += 1
        elif not ignored[row]:
            counts[seen.class_ids[row], 2] += 1


def _ignored(boxes_xyxy: Boxes, ignored_xyxy: Boxes) -> npt.NDArray[np.bool_]:
    if len(ignored_xyxy) == 0:
        return np.zeros(len(boxes_xyxy), np.bool_)
    return np.asarray(covered(boxes_xyxy, ignored_xyxy).max(axis=1) >= MIN_IOU)


def _average_precisions(dataset: Dataset, found: list[Detections]) -> npt.NDArray[np.float64]:
    """(classes, 10) AP for IoU .5, .55 to .95; 0 where nothing was found."""
    results = [
        {"image_id": number, "category_id": int(class_id), "bbox": box, "score": float(value)}
        for number, seen in enumerate(found, 1)
        for box, value, class_id in zip(_xywh(seen), seen.scores, seen.class_ids + 1, strict=True)
    ]
    if not results:
        return np.zeros((len(dataset.labels), 10))
    coco, cocoeval = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = _as_coco(dataset)
        truth.createIndex()
        measured = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        measured.evaluate()
        measured.accumulate()
    # IoU, recall, class, area (all), most detections (100); -1 where a class has no object
    curves = np.asarray(measured.eval["precision"])[:, :, :, 0, -1]
    return np.asarray(np.clip(curves, 0, None).mean(axis=1).T)


def _as_coco(dataset: Dataset) -> dict[str, Any]:
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


def _xywh(seen: Detections) -> list[list[float]]:
    corners = seen.boxes_xyxy
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    rows: list[list[float]] = sides.tolist()
    return rows


def _pycocotools() -> tuple[Any, Any]:
    coco, cocoeval = (
        import_for("measuring mAP", f"pycocotools.{name}", "pycocotools")
        for name in ("coco", "cocoeval")
    )
    return coco, cocoeval
