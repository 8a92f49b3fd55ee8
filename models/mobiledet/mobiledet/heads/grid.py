"""A grid in the style of YOLO2 (Redmon and Farhadi, 2017): anchors of the dataset, objectness.

An object belongs to the cell that holds its centre, and there to the anchors of its shape. The
score is objectness times class. Unlike in YOLO2 the centre is a code of SSD, without a sigmoid,
and each class has a sigmoid instead of a softmax, which XNNPACK lacks in int8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes, covered, iou
from mobiledet.anchors import BACKGROUND, IGNORED, Targets, assigned, corners
from mobiledet.blocks import Tensor
from mobiledet.design import Design
from mobiledet.heads.base import placed
from mobiledet.heads.overlap import boxes_of, overlap
from mobiledet.heads.shapes import shape_iou
from mobiledet.loss import smooth_l1, wanted_columns
from mobiledet.tensorflow import tf

# IoU of shapes from which another anchor of the cell predicts the object too, and IoU of boxes from
# which an anchor elsewhere is not background. YOLO2 has one anchor an object, and ignores from 0.6.
SAME_SHAPE, NEAR = 0.5, 0.5
MATCH_COVERED = 0.5  # share of an anchor in a place to ignore from which it is ignored
OBJECT_WEIGHT = 5.0  # of the objectness of objects against that of background, as in YOLO2


class Grid:
    """See `Head`. With a single class the objectness is the score, and no class is predicted."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._shapes = design.grid_anchors
        self.anchors = placed(design.map_sizes, self._shapes)
        self.per_cell = tuple(len(of_map) for of_map in self._shapes)
        self.widths = {"codes": 4, "logits": design.columns}
        if design.has_objectness:
            self.widths["objectness"] = 1

    def targets(
        self, boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes
    ) -> Targets:
        anchors_xyxy = corners(self.anchors)
        classes = np.full(len(self.anchors), BACKGROUND, np.int32)
        if len(ignored_xyxy):
            hidden = covered(anchors_xyxy, ignored_xyxy).max(axis=1)
            classes[hidden > MATCH_COVERED] = IGNORED
        if len(boxes_xyxy):
            classes[iou(anchors_xyxy, boxes_xyxy).max(axis=1) >= NEAR] = IGNORED
        owner = self._owners(boxes_xyxy)
        return assigned(self.anchors, boxes_xyxy, class_ids, owner, classes)

    def _owners(self, boxes_xyxy: Boxes) -> npt.NDArray[np.int64]:
        """(n,) the object that each anchor predicts, -1 without one."""
        owner = np.full(len(self.anchors), -1, np.int64)
        rows = [self._rows_at((box[:2] + box[2:]) / 2) for box in boxes_xyxy]
        alike = [
            shape_iou((box[2:] - box[:2])[None], self.anchors[of_box][:, [3, 2]])[0]
            for box, of_box in zip(boxes_xyxy, rows, strict=True)
        ]
        for number, of_box in enumerate(rows):  # one for each object, the most similar free one
            best = of_box[np.argsort(-alike[number], kind="stable")]
            owner[best[owner[best] < 0][:1]] = number
        for number, of_box in enumerate(rows):
            others = of_box[alike[number] >= SAME_SHAPE]
            owner[others[owner[others] < 0]] = number
        return owner

    def _rows_at(self, centre: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The anchors of the cells that hold a place, of all maps."""
        rows, start = [], 0
        for cells, count in zip(self._design.map_sizes, self.per_cell, strict=True):
            x, y = np.minimum((centre * cells).astype(int), cells - 1)
            rows.append(start + (y * cells + x) * count + np.arange(count))
            start += cells * cells * count
        return np.concatenate(rows)

    def loss(
        self, outputs: Sequence[Tensor], true_codes: Tensor, true_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The objectness to learn is the IoU of the predicted box with the object, as in YOLO2."""
        codes, logits, *objectness = outputs
        matched = tf().cast(true_classes > 0, tf().float32)
        count = tf().maximum(tf().reduce_sum(matched), 1.0)
        location = tf().reduce_sum(smooth_l1(codes - true_codes), axis=-1) * matched
        predicted, wanted = (boxes_of(x, self.anchors) for x in (codes, true_codes))
        presence = tf().stop_gradient(overlap(predicted, wanted)[0]) * matched
        entropy = tf().nn.sigmoid_cross_entropy_with_logits
        weight = matched * OBJECT_WEIGHT + tf().cast(tf().equal(true_classes, 0), tf().float32)
        if not objectness:
            return (
                tf().reduce_sum(location) / count,
                tf().reduce_sum(entropy(presence, logits[..., 0]) * weight) / count,
            )
        found = entropy(presence, objectness[0][..., 0]) * weight
        columns = wanted_columns(true_classes, self._design.first_class_column, logits.shape[-1])
        named = tf().reduce_sum(entropy(columns, logits), axis=-1) * matched
        return tf().reduce_sum(location) / count, tf().reduce_sum(found + named) / count
