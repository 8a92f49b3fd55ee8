"""YOLOv10 and other models that need no NMS: [1, n, 6], x0 y0 x1 y1 score class.

Wang et al., "YOLOv10: Real-Time End-to-End Object Detection", 2024. Ultralytics exports other
YOLOs in the same form with `nms=True`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.vision.detector.layouts.base import (
    LARGEST_SHARE,
    Clues,
    Decoding,
    Raw,
    as_shares,
    best_rows,
    real,
)  # fmt: skip
from edge.vision.types import Detections

MAX_ROWS = 1000  # n is 300; more rows of 6 are a YOLOv5 with one class


def match(clues: Clues) -> Decoding | None:
    if len(clues.shapes) != 1 or len(clues.shapes[0]) != 2:
        return None
    rows, columns = clues.shapes[0]
    if columns != 6 or rows > MAX_ROWS:
        return None
    (tensor,) = clues.outputs

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        values = real(outputs[0].reshape(-1, 6), tensor)
        in_pixels = bool((values[:, :4] > LARGEST_SHARE).any())
        values = values[values[:, 4] >= min_score]
        values = values[best_rows(values[:, 4])]
        boxes = as_shares(values[:, :4], clues.size, in_pixels=in_pixels)
        return Detections(boxes, values[:, 4], np.round(values[:, 5]).astype(np.int64))

    names = (clues.ultralytics or {}).get("names", ())
    return Decoding(decode, len(names) or None, "0..1")
