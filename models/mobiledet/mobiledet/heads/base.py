"""The interface of a head, and the places of its predictions.

Every head gives box codes against one fixed box (an anchor) for each prediction, so that the
daemon reads the exported files of all heads in the same layout, `ssd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.vision.detector.model_file import Anchors
from edge.vision.geometry import Boxes
from mobiledet.anchors import Targets, in_each_cell
from mobiledet.blocks import Tensor

Shapes = Sequence[tuple[float, float]]  # width and height, as shares of the input


class Head(Protocol):
    """The predictions of a design, the targets for one picture, and the loss of a batch."""

    @property
    def anchors(self) -> Anchors:
        """(n, 4) cy cx h w in 0..1: for each map, row, column, then each prediction of a cell."""
        ...

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Predictions of a cell, for each map."""
        ...

    @property
    def widths(self) -> dict[str, int]:
        """Numbers of a prediction by output of the network: codes, logits and so on."""
        ...

    def targets(
        self, boxes_xyxy: Boxes, class_ids: npt.NDArray[np.int64], ignored_xyxy: Boxes
    ) -> Targets:
        """boxes_xyxy: (m, 4), ignored_xyxy: (k, 4), both in 0..1 of the picture."""
        ...

    def loss(
        self, outputs: Sequence[Tensor], true_codes: Tensor, true_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The losses of a batch for each object's prediction: (boxes, classes), scalars.

        outputs: in the order of `widths`, (b, n, width). true_codes, true_classes: (b, n, 4) and
        (b, n) as in `Targets`.
        """
        ...


def placed(map_sizes: Sequence[int], shapes: Sequence[Shapes]) -> Anchors:
    """Anchors of the given shapes at the centre of each cell of each map: (n, 4) cy cx h w."""
    return np.concatenate([
        in_each_cell(cells, [(height, width) for width, height in of_map])
        for cells, of_map in zip(map_sizes, shapes, strict=True)
    ])  # fmt: skip
