"""Footage and a larger model that knows what is in it become a dataset for a small one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import SourceSettings
from edge.errors import PermanentError
from edge.runtime.files import write_file
from edge.sources import open_source
from edge.vision.detector import Detector
from mobiledet.dataset.base import DatasetError
from mobiledet.dataset.coco import Annotation, Category, Coco, Image
from mobiledet.teacher import Seen, look

TRAIN, VALIDATION = "train", "val"
JPEG_QUALITY = 92
Progress = Callable[[int, int | None], None]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which frames of the footage are labelled: every so many-th from one second to another.

    Those after `train_share` of the time are for validation, less a gap of `gap_s`, so that
    near-duplicates don't lie on both sides.
    """

    every: int = 3
    start_s: float = 0.0
    end_s: float = float("inf")
    train_share: float = 0.85
    gap_s: float = 2.0


def distill(footage: str, folder: Path, teacher: Detector, span: Span, progress: Progress) -> int:
    """Writes `folder`/dataset.json and the frames beside it; returns the number of labels.

    Raises EdgeError: no footage, no frames in the span, nothing seen in them, or a dataset there.
    """
    target = folder / "dataset.json"
    if target.exists():
        raise DatasetError(f"{target}: there is a dataset already; choose another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    coco = Coco([], [], [Category(i, label) for i, label in enumerate(teacher.labels, 1)])
    for time_s, rgb in _frames(footage, span, progress):
        image = _kept(folder, footage, len(coco.images) + 1, time_s, rgb)
        coco.images.append(image)
        _label(coco, image.id, look(teacher, rgb))
    if not coco.images:
        raise PermanentError(f"{footage}: no frames between {span.start_s:g} and {span.end_s:g} s")
    _split(coco, span)
    used = {annotation.category_id for annotation in coco.annotations}
    coco.categories = [category for category in coco.categories if category.id in used]
    write_file(target, msgspec.json.encode(coco))
    return sum(not annotation.iscrowd for annotation in coco.annotations)


def _frames(
    footage: str, span: Span, progress: Progress
) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
    source = open_source(SourceSettings(uri=footage, fast=True))
    total = source.open().frame_count
    start_ns = None
    try:
        while (frame := source.read()) is not None:
            start_ns = frame.timestamp_ns if start_ns is None else start_ns
            time_s = (frame.timestamp_ns - start_ns) / 1e9
            if time_s >= span.end_s:
                break
            if time_s >= span.start_s and frame.index % span.every == 0:
                yield time_s, frame.main.rgb()
            progress(frame.index + 1, total)
    finally:
        source.close()


def _kept(
    folder: Path, footage: str, number: int, time_s: float, rgb: npt.NDArray[np.uint8]
) -> Image:
    name = f"images/{number:06d}.jpg"
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if not cv2.imwrite(str(folder / name), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options):
        raise PermanentError(f"{folder / name}: can't be written")
    height, width = rgb.shape[:2]
    return Image(number, name, width, height, source=Path(footage).name, time_s=round(time_s, 3))


def _label(coco: Coco, image_id: int, seen: Seen) -> None:
    rows = [
        (box, int(class_id) + 1, 0, float(score))
        for box, class_id, score in zip(
            seen.sure.boxes_xyxy, seen.sure.class_ids, seen.sure.scores, strict=True
        )
    ]
    rows += [(box, 1, 1, 0.0) for box in seen.unsure_xyxy]
    for box, category, crowd, score in rows:
        x0, y0, x1, y1 = (round(float(value), 1) for value in box)
        bbox = (x0, y0, round(x1 - x0, 1), round(y1 - y0, 1))
        number = len(coco.annotations) + 1
        area = round(bbox[2] * bbox[3], 1)
        coco.annotations.append(
            Annotation(number, image_id, category, bbox, area, crowd, score=round(score, 3))
        )


def _split(coco: Coco, span: Span) -> None:
    """By time; what lies in the gap belongs to no split, and goes."""
    first, last = coco.images[0].time_s, coco.images[-1].time_s
    border_s = first + span.train_share * (last - first)
    for image in coco.images:
        if image.time_s < border_s:
            image.split = TRAIN
        elif image.time_s >= border_s + span.gap_s:
            image.split = VALIDATION
    coco.images = [image for image in coco.images if image.split]
    kept = {image.id for image in coco.images}
    coco.annotations = [a for a in coco.annotations if a.image_id in kept]
