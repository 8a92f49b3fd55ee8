"""YOLOX: [1, cells, 5 + classes], centre offsets and log sizes in cells, objectness, classes.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021", 2021; Megvii's `demo_postprocess`. The scores are
activated by the graph; the boxes are decoded here, unless the graph was exported with
`decode_in_inference`, when all centres are in pixels. Pictures are BGR of 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.vision.detector.layouts.base import (
    Clues,
    Decode,
    Decoding,
    Raw,
    Real,
    as_shares,
    best_class,
    best_rows,
    cell_count,
    from_centres,
    grid,
    raw_threshold,
    real,
)  # fmt: skip
from edge.vision.types import Detections

STRIDES = ((8, 16, 32), (8, 16, 32, 64))
OBJECTNESS = 4
MAX_LOG_SIZE = 10.0  # keeps exp finite for damaged values


def match(clues: Clues) -> Decoding | None:
    if len(clues.shapes) != 1 or len(clues.shapes[0]) != 2:
        return None
    rows, columns = clues.shapes[0]
    classes = columns - OBJECTNESS - 1
    strides = next((s for s in STRIDES if cell_count(clues.size, s) == rows), None)
    if strides is None or not clues.may_have(classes):
        return None  # without labels of that number it may be a YOLOv8 or a NanoDet
    return Decoding(_decoder(clues, strides), classes, "0..255", bgr=True)


def _decoder(clues: Clues, strides: tuple[int, ...]) -> Decode:
    (tensor,) = clues.outputs
    cells = grid(clues.size, strides)

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        table = outputs[0]
        rows = np.flatnonzero(table[:, OBJECTNESS] >= raw_threshold(min_score, tensor))
        rows = rows[best_rows(table[rows, OBJECTNESS].astype(np.float32))]
        values = real(table[rows], tensor)
        class_ids, scores = best_class(values[:, OBJECTNESS + 1 :])
        scores = scores * values[:, OBJECTNESS]
        boxes = values[:, :4]
        if not _is_decoded(real(table[:, :2], tensor), cells):
            column_row, stride = cells[rows, :2], cells[rows, 2:]
            sizes = np.exp(np.minimum(boxes[:, 2:], MAX_LOG_SIZE))
            boxes = np.concatenate([boxes[:, :2] + column_row, sizes], axis=1) * stride
        kept = scores >= min_score
        corners = as_shares(from_centres(boxes[kept]), clues.size, in_pixels=True)
        return Detections(corners, scores[kept], class_ids[kept])

    return decode


def _is_decoded(centres: Real, cells: Real) -> bool:
    """Whether centres are pixels of the input: they then follow the cells' own centres."""
    spread = np.abs(centres - (cells[:, :2] + 0.5) * cells[:, 2:])
    return bool(np.median(spread) < np.median(np.abs(centres - 0.5)))
