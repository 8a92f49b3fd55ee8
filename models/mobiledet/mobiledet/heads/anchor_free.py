"""A head without anchors, after FCOS and NanoDet: one box a cell, at strides 16, 32 and 64.

A cell near the centre of an object predicts the box from its own place, in the code of SSD against
one square a cell (FCOS: Tian et al., 2019). The score to learn is the IoU of the predicted box with
the object (quality focal loss: Li et al., 2020), so that no output for the centre is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes
from mobiledet.anchors import BACKGROUND, IGNORED, Targets, assigned
from mobiledet.blocks import Tensor
from mobiledet.design import Design
from mobiledet.heads.base import placed
from mobiledet.heads.overlap import boxes_of, overlap
from mobiledet.loss import wanted_columns
from mobiledet.tensorflow import tf

SIDE = 4.0  # of a cell's square, in cells
RADIUS = 1.5  # largest distance of a cell from the centre of its object, in cells, as in FCOS
# A map predicts objects whose side differs from its squares' by up to this factor. Squares double
# from map to map, so two maps predict an object of a size between them.
SIDE_FACTOR = 1.6
BOX_WEIGHT = 2.0  # of the loss of boxes against that of scores, as in NanoDet
EPSILON = 1e-6  # rounding between the squares of one map
FOCUS = 2.0  # exponent of the quality focal loss, as published


class AnchorFree:
    """See `Head`."""

    def __init__(self, design: Design) -> None:
        self._design = design
        sides = [SIDE / cells for cells in design.map_sizes]
        self.anchors = placed(design.map_sizes, [[(side, side)] for side in sides])
        self.per_cell = (1,) * len(design.map_sizes)
        self.widths = {"codes": 4, "logits": design.columns}

    def targets(
        self, boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes
    ) -> Targets:
        classes = np.full(len(self.anchors), BACKGROUND, np.int32)
        classes[self._inside(ignored_xyxy).any(axis=1)] = IGNORED
        owner = self._owners(boxes_xyxy)
        return assigned(self.anchors, boxes_xyxy, class_ids, owner, classes)

    def _owners(self, boxes_xyxy: Boxes) -> npt.NDArray[np.int64]:
        """(n,) the object that each cell predicts, the smallest of several; -1 without one."""
        if len(boxes_xyxy) == 0:
            return np.full(len(self.anchors), -1)
        sides = np.sqrt((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1))
        centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        away = np.abs(self.anchors[:, None, [1, 0]] - centres[None]).max(axis=2)
        away /= self.anchors[:, 2:3] / SIDE  # in cells
        unlike = np.abs(np.log(self.anchors[:, 2:3] / sides[None]))
        right = self._inside(boxes_xyxy) & (away <= RADIUS) & (unlike <= np.log(SIDE_FACTOR))
        similar = unlike <= unlike.min(axis=0) + EPSILON  # the map whose squares are most similar
        nearest = np.where(similar, away, np.inf).argmin(axis=0)
        right[nearest, np.arange(len(boxes_xyxy))] = True
        size = np.where(right, sides[None], np.inf)
        return np.where(right.any(axis=1), size.argmin(axis=1), -1)

    def _inside(self, boxes_xyxy: Boxes) -> npt.NDArray[np.bool_]:
        """(n, m) whether the centre of each cell is in each box."""
        place = self.anchors[:, None, [1, 0]]
        inside = (place > boxes_xyxy[None, :, :2]) & (place < boxes_xyxy[None, :, 2:])
        return np.asarray(inside.all(axis=2), np.bool_)

    def loss(
        self, outputs: Sequence[Tensor], true_codes: Tensor, true_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        codes, logits = outputs
        matched = tf().cast(true_classes > 0, tf().float32)
        known = tf().cast(true_classes >= 0, tf().float32)
        count = tf().maximum(tf().reduce_sum(matched), 1.0)
        iou, generalized = overlap(*(boxes_of(x, self.anchors) for x in (codes, true_codes)))
        location = (1 - generalized) * matched * BOX_WEIGHT
        columns = wanted_columns(true_classes, self._design.first_class_column, logits.shape[-1])
        quality = columns * tf().stop_gradient(iou)[..., None]
        entropy = tf().nn.sigmoid_cross_entropy_with_logits(quality, logits)
        focus = tf().abs(quality - tf().sigmoid(logits)) ** FOCUS
        classification = tf().reduce_sum(focus * entropy, axis=-1) * known
        return tf().reduce_sum(location) / count, tf().reduce_sum(classification) / count
