"""Makes a dataset for a small model: a larger model labels the objects in footage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from edge.config.masking import masked
from edge.config.schema import SourceSettings
from edge.errors import PermanentError
from edge.vision.detector import Detector
from edge.vision.geometry import Box
from edge.vision.types import Frame
from mobiledet.dataset.base import DatasetError
from mobiledet.dataset.coco import Annotation, Category, Coco, Image, load
from mobiledet.dataset.writing import DATASET, IMAGES, annotation, write_document, write_picture
from mobiledet.recording import Recording
from mobiledet.teacher import Opinion, look

TRAIN, VALIDATION = "train", "val"
Progress = Callable[[int, int | None], None]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The frames that are labelled: each N-th (`every`) between two times.

    Frames after `train_share` of that time are for validation. The first `gap_s` seconds of these
    are left out, so that training and validation share no near-duplicates.
    """

    every: int = 3
    start_s: float = 0.0
    end_s: float = float("inf")
    train_share: float = 0.85
    gap_s: float = 2.0


def distill(
    footage: str,
    folder: Path,
    teacher: Detector,
    span: Span,
    progress: Progress,
    *,
    add: bool = False,
) -> int:
    """Makes a dataset of `footage` in `folder` and returns the number of labels.

    progress: called with the number of frames read and, where it is known, of all frames. add: to
    the dataset that the folder may hold, which is split for itself. Raises EdgeError if the footage
    is missing or has no frames in the span, if the folder holds a dataset and `add` is not set, or
    if a file can't be written.
    """
    path = folder / DATASET
    if path.exists() and not add:
        raise DatasetError(
            f"{path}: there is a dataset already; choose another folder, or --add to it"
        )
    before = load(path) if path.exists() else Coco([], [], [])
    taken = max((image.id for image in before.images), default=0)
    coco = Coco([], [], [Category(i, label) for i, label in enumerate(teacher.labels, 1)])
    for time_s, frame in _frames(footage, span, progress):
        image = _image(taken + len(coco.images) + 1, footage, time_s, frame)
        write_picture(folder, image.file_name, frame.main.bgr())
        coco.images.append(image)
        opinion = look(teacher, frame.main.rgb())
        coco.annotations += _annotations(len(coco.annotations) + 1, image.id, opinion)
    if not coco.images:
        name = masked(footage)
        raise PermanentError(f"{name}: no frames between {span.start_s:g} and {span.end_s:g} s")
    _split(coco, span)
    used = {annotation.category_id for annotation in coco.annotations}
    coco.categories = [category for category in coco.categories if category.id in used]
    write_document(folder, _joined(before, coco))
    return sum(not annotation.iscrowd for annotation in coco.annotations)


def _frames(footage: str, span: Span, progress: Progress) -> Iterator[tuple[float, Frame]]:
    with Recording(SourceSettings(uri=footage, fast=True)) as recording:
        for frame, time_s in recording.frames():
            if time_s >= span.end_s:
                break
            if time_s >= span.start_s and frame.index % span.every == 0:
                yield time_s, frame
            progress(frame.index + 1, recording.info.frame_count)


def _image(number: int, footage: str, time_s: float, frame: Frame) -> Image:
    return Image(
        id=number,
        file_name=f"{IMAGES}/{number:06d}.jpg",
        width=frame.main.width,
        height=frame.main.height,
        source=Path(masked(footage)).name,
        time_s=round(time_s, 3),
    )


def _annotations(first: int, image_id: int, opinion: Opinion) -> list[Annotation]:
    """Objects, then places to ignore, numbered from `first`."""
    sure = opinion.sure
    rows: list[tuple[Box, int, bool, float]] = [
        (box, class_id + 1, False, score)
        for box, class_id, score in zip(
            sure.boxes_xyxy.tolist(), sure.class_ids.tolist(), sure.scores.tolist(), strict=True
        )
    ]
    rows += [(box, 1, True, 0.0) for box in opinion.unsure_xyxy.tolist()]
    return [
        annotation(number, image_id, box, category_id, iscrowd=ignored, score=score)
        for number, (box, category_id, ignored, score) in enumerate(rows, first)
    ]


def _joined(before: Coco, coco: Coco) -> Coco:
    """Both datasets in one, with the annotations numbered on and the categories joined by name."""
    ids = {category.name: category.id for category in before.categories}
    for category in coco.categories:
        ids.setdefault(category.name, max(ids.values(), default=0) + 1)
    names = {category.id: category.name for category in coco.categories}
    last = max((each.id for each in before.annotations), default=0)
    added = [
        msgspec.structs.replace(
            each, id=number, category_id=ids.get(names.get(each.category_id, ""), 1)
        )
        for number, each in enumerate(coco.annotations, last + 1)
    ]
    return msgspec.structs.replace(
        before,
        images=before.images + coco.images,
        annotations=before.annotations + added,
        categories=[Category(number, name) for name, number in ids.items()],
    )


def _split(coco: Coco, span: Span) -> None:
    """Splits the pictures by time; those in the gap leave the dataset."""
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
