"""YOLOv2 and Tiny-YOLOv2: [1, rows, columns, anchors * (5 + classes)], not activated.

Some exporters split the last side: [1, rows, columns, anchors, 5 + classes].

Redmon and Farhadi, "YOLO9000: Better, Faster, Stronger", 2016. The file doesn't hold the anchors:
`model.anchors` gives them, in cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge.errors import ModelError
from edge.vision.detector.layouts.base import (
    Clues,
    Decode,
    Decoding,
    Raw,
    Real,
    best_class,
    best_rows,
    from_centres,
    real,
    sigmoid,
)  # fmt: skip
from edge.vision.types import Detections

STRIDE = 32
MAX_LOG_SIZE = 10.0  # keeps exp finite for damaged values


def match(clues: Clues) -> Decoding | None:
    if len(clues.shapes) != 1 or len(clues.shapes[0]) not in (3, 4):
        return None
    rows, columns, *last = clues.shapes[0]
    channels = math.prod(last)
    if (rows, columns) != (clues.size[1] // STRIDE, clues.size[0] // STRIDE):
        return None
    fitting = [n for n in range(1, 10) if not channels % n and channels // n - 5 in clues.counts]
    if not clues.anchor_pairs:
        if not fitting:
            return None
        raise ModelError(
            f"it is a YOLOv2 grid with {fitting[0]} anchors that the file doesn't hold: set "
            "model.anchors to the pairs [width, height] in cells from the .cfg file it was trained "
            "with (its line anchors=)"
        )
    if len(clues.anchor_pairs) not in fitting:
        raise ModelError(
            f"its {channels} channels don't fit {len(clues.anchor_pairs)} anchors in model.anchors "
            f"and {max(clues.counts, default=0)} labels: they must be anchors * (5 + labels)"
        )
    anchors = np.array(clues.anchor_pairs, np.float32)
    return Decoding(_decoder(clues, anchors), channels // len(anchors) - 5, "0..1")


def _decoder(clues: Clues, anchors: Real) -> Decode:
    (tensor,) = clues.outputs
    rows, columns = clues.shapes[0][:2]
    grid_size = np.array([columns, rows], np.float32)

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        values = real(outputs[0].reshape(rows * columns * len(anchors), -1), tensor)
        objectness = sigmoid(values[:, 4])
        found = np.flatnonzero(objectness >= min_score)
        found = found[best_rows(objectness[found])]
        values, objectness = values[found], objectness[found]
        cell, anchor = np.divmod(found, len(anchors))
        place = np.stack([cell % columns, cell // columns], axis=1)
        centres = (sigmoid(values[:, :2]) + place) / grid_size
        sizes = np.exp(np.minimum(values[:, 2:4], MAX_LOG_SIZE)) * anchors[anchor] / grid_size
        class_ids, share = best_class(_softmax(values[:, 5:]))
        scores = share * objectness
        kept = scores >= min_score
        boxes = from_centres(np.concatenate([centres, sizes], axis=1))
        return Detections(boxes[kept].astype(np.float32), scores[kept], class_ids[kept])

    return decode


def _softmax(logits: Real) -> Real:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
