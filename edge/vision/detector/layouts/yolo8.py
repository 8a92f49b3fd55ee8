"""YOLOv8, YOLO11, YOLOv9, YOLOv5u of Ultralytics: [1, 4 + classes, n] or its transpose.

Rows are cx cy w h, in pixels or in shares of the input, then a score for each class; models for
segments and poses append columns that are not needed for boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.errors import ModelError
from edge.vision.detector.layouts.base import (
    LARGEST_SHARE,
    Clues,
    Decode,
    Decoding,
    Raw,
    as_shares,
    best_class,
    best_rows,
    cell_count,
    from_centres,
    raw_threshold,
    real,
)  # fmt: skip
from edge.vision.types import Detections

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
COORDINATES = 4
NOT_BOXES = {"classify": "classes of pictures", "obb": "boxes at an angle"}


def match(clues: Clues) -> Decoding | None:
    ultralytics = clues.ultralytics or {}
    task = ultralytics.get("task", "detect")
    if task in NOT_BOXES:
        raise ModelError(f"it finds {NOT_BOXES[task]} (task {task}); export one of task detect")
    cells = {cell_count(clues.size, strides) for strides in STRIDES}
    for place, shape in enumerate(clues.shapes):
        if len(shape) != 2 or not cells & set(shape):
            continue
        first_axis = shape[1] in cells and shape[0] not in cells
        columns = shape[0] if first_axis else shape[1]
        classes = _classes(clues, columns, sure=first_axis)
        if classes is not None:
            return Decoding(_decoder(clues, place, classes, first_axis), classes, "0..1")
    return None


def _classes(clues: Clues, columns: int, *, sure: bool) -> int | None:
    """The classes of an output. sure: its axes alone tell the layout; YOLOX has the other order."""
    if names := (clues.ultralytics or {}).get("names", ()):
        return len(names) if columns >= COORDINATES + len(names) else None
    count = columns - COORDINATES
    if count < 1:
        return None
    return count if sure or clues.may_have(count) else None


def _decoder(clues: Clues, place: int, classes: int, columns_first: bool) -> Decode:
    tensor = clues.outputs[place]

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        table = outputs[place] if columns_first else outputs[place].T
        scores = table[COORDINATES : COORDINATES + classes]
        best = scores.max(axis=0)
        rows = np.flatnonzero(best >= raw_threshold(min_score, tensor))
        rows = rows[best_rows(best[rows].astype(np.float32))]
        in_pixels = bool(real(table[:2].max(), tensor) > LARGEST_SHARE)
        boxes = from_centres(real(table[:COORDINATES, rows].T, tensor))
        class_ids, kept = best_class(real(scores[:, rows].T, tensor))
        return Detections(as_shares(boxes, clues.size, in_pixels=in_pixels), kept, class_ids)

    return decode
