"""The head of SSD (Liu et al., 2016): six anchors a cell on maps down to a single cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Boxes
from mobiledet.anchors import Targets, anchors_of, match, per_cell
from mobiledet.blocks import Tensor
from mobiledet.design import Design
from mobiledet.loss import Kind, detection_loss


class Ssd:
    """See `Head`."""

    def __init__(self, design: Design, loss: Kind) -> None:
        self._design, self._loss = design, loss
        self.anchors = anchors_of(design)
        self.per_cell = tuple(per_cell(design, n) for n in range(len(design.map_sizes)))
        self.widths = {"codes": 4, "logits": design.columns}

    def targets(
        self, boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes
    ) -> Targets:
        return match(self.anchors, boxes_xyxy, class_ids, ignored_xyxy)

    def loss(
        self, outputs: Sequence[Tensor], true_codes: Tensor, true_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        codes, logits = outputs
        first = self._design.first_class_column
        return detection_loss(codes, logits, true_codes, true_classes, first, self._loss)
