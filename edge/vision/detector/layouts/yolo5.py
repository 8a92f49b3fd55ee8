"""YOLOv5, YOLOv7 and MegaDetector v5: [1, n, 5 + classes], cx cy w h objectness classes.

Three anchors at each cell, already decoded by the graph; a score is objectness times class. The
boxes are in pixels or in shares of the input (ultralytics/yolov5, export.py and detect.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32))
ANCHORS_AT_A_CELL = 3
OBJECTNESS = 4


def match(clues: Clues) -> Decoding | None:
    cells = {ANCHORS_AT_A_CELL * cell_count(clues.size, strides) for strides in STRIDES}
    for place, shape in enumerate(clues.shapes):
        if len(shape) == 2 and shape[0] in cells and shape[1] > OBJECTNESS + 1:
            names = (clues.ultralytics or {}).get("names", ())
            classes = len(names) or shape[1] - OBJECTNESS - 1
            if classes <= shape[1] - OBJECTNESS - 1:
                return Decoding(decoder(clues, place, classes), classes, "0..1")
    return None


def decoder(clues: Clues, place: int, classes: int) -> Decode:
    """Rows cx cy w h objectness classes -> detections."""
    tensor = clues.outputs[place]

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        table = outputs[place]
        rows = np.flatnonzero(table[:, OBJECTNESS] >= raw_threshold(min_score, tensor))
        rows = rows[best_rows(table[rows, OBJECTNESS].astype(np.float32))]
        values = real(table[rows], tensor)
        class_ids, scores = best_class(values[:, OBJECTNESS + 1 : OBJECTNESS + 1 + classes])
        scores = scores * values[:, OBJECTNESS]
        in_pixels = bool(real(table[:, :2].max(), tensor) > LARGEST_SHARE)
        boxes = as_shares(from_centres(values[:, :4]), clues.size, in_pixels=in_pixels)
        kept = scores >= min_score
        return Detections(boxes[kept], scores[kept], class_ids[kept])

    return decode
