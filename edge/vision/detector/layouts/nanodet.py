"""NanoDet and NanoDet-Plus: [1, cells, classes + 4 * bins].

Class scores, then for each side of the box a distribution over its distance from the cell in
strides (Li et al., "Generalized Focal Loss", 2020). NanoDet-Plus has four levels and cells that
begin at 0, NanoDet three and cells that begin at a half (RangiLyu/nanodet). Pictures are BGR,
normalized as for ImageNet.
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
    grid,
    raw_threshold,
    real,
    sigmoid,
)  # fmt: skip
from edge.vision.types import Detections

LEVELS = {(8, 16, 32, 64): 0.0, (8, 16, 32): 0.5}  # strides, and the place of a cell's centre
BINS = (8, 11, 17)  # reg_max + 1: 7 in the published models, 10 in the larger Plus


def match(clues: Clues) -> Decoding | None:
    if len(clues.shapes) != 1 or len(clues.shapes[0]) != 2:
        return None
    cells, columns = clues.shapes[0]
    for strides in LEVELS:
        for bins in BINS:
            classes = columns - 4 * bins
            if cell_count(clues.size, strides) == cells and clues.may_have(classes):
                return Decoding(_decoder(clues, strides, classes), classes, "imagenet", bgr=True)
    return None


def _decoder(clues: Clues, strides: tuple[int, ...], classes: int) -> Decode:
    (tensor,) = clues.outputs
    places = grid(clues.size, strides)
    centres = (places[:, :2] + LEVELS[strides]) * places[:, 2:]
    activated = clues.graph.activated(tensor) is not False

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        scores = outputs[0][:, :classes]
        best = scores.max(axis=1)
        least = min_score if activated else _logit(min_score)
        rows = np.flatnonzero(best >= raw_threshold(least, tensor))
        rows = rows[best_rows(best[rows].astype(np.float32))]
        values = real(outputs[0][rows], tensor)
        class_ids, kept = best_class(values[:, :classes])
        sides = _distances(values[:, classes:]) * places[rows, 2:]
        centre = centres[rows]
        boxes = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1)
        return Detections(
            as_shares(boxes, clues.size, in_pixels=True),
            kept if activated else sigmoid(kept),
            class_ids,
        )

    return decode


def _distances(logits: Real) -> Real:
    """The mean of each side's distribution: (n, 4 * bins) -> (n, 4), left top right bottom."""
    sides = logits.reshape(len(logits), 4, logits.shape[1] // 4)  # also for no rows
    weights = np.exp(sides - sides.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    return np.asarray(weights @ np.arange(sides.shape[2], dtype=np.float32))


def _logit(score: float) -> float:
    share = min(max(score, 1e-6), 1 - 1e-6)
    return float(np.log(share / (1 - share)))
