"""Edge Impulse FOMO: [1, rows, columns, 1 + classes], a score of each class in each cell.

Channel 0 is the background, cells are 8 px. Cells of one class that touch are one object; its box
surrounds them ("FOMO: Object detection for constrained devices", Edge Impulse).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge.vision.detector.layouts.base import Clues, Decode, Decoding, Raw, Real, best_rows, real
from edge.vision.types import Detections

STRIDES = (8, 4, 16)


def match(clues: Clues) -> Decoding | None:
    if len(clues.shapes) != 1 or len(clues.shapes[0]) != 3:
        return None
    rows, columns, channels = clues.shapes[0]
    sizes = [(clues.size[1] // stride, clues.size[0] // stride) for stride in STRIDES]
    if (rows, columns) not in sizes or channels < 2 or not clues.may_have(channels - 1):
        return None
    return Decoding(_decoder(clues, channels - 1), channels - 1, "0..1")


def _decoder(clues: Clues, classes: int) -> Decode:
    (tensor,) = clues.outputs

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        scores = real(outputs[0], tensor)
        parts = [_objects(scores[..., number + 1], number, min_score) for number in range(classes)]
        found = Detections.concatenate(parts)
        return found[best_rows(found.scores)]

    return decode


def _objects(scores: Real, class_id: int, min_score: float) -> Detections:
    """Groups of touching cells -> boxes; the score is that of the best cell."""
    cells = (scores >= min_score).astype(np.uint8)
    if not cells.any():
        return Detections.empty()
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    rows, columns = scores.shape
    corners = stats[1:, :2].astype(np.float32)
    sizes = stats[1:, 2:4].astype(np.float32)
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    boxes /= np.array([columns, rows, columns, rows], np.float32)
    best = np.zeros(count, np.float32)
    np.maximum.at(best, np.asarray(numbers, np.intp), scores)
    return Detections(boxes, best[1:], np.full(count - 1, class_id, np.int64))
