"""The design of a network, stored beside its weights so that a run can be continued."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Input of the daemon's default model. On a smaller one a canvas holds fewer crops, so that tracks
# get fewer looks (models/README.md).
DEFAULT_SIZE_PX = 300
BOX_SCALES = (10.0, 10.0, 5.0, 5.0)  # of the box code, y x h w, as in published SSD models


Backbone = Literal["mobilenet_v1", "mobilenet_v3_large", "mobilenet_v3_small", "fire"]


class Design(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network, without its weights.

    extra: kind of the layers after the backbone and of the predictors. scales: sides of the
    smallest and of the largest anchors, as shares of the input. normalization: after each
    convolution; "none" where a start's kernels already contain it. anchors: "tensorflow" are those
    of TensorFlow's published models, which need no scales.
    """

    labels: tuple[str, ...]
    backbone: Backbone = "mobilenet_v1"
    alpha: Annotated[float, Meta(gt=0, le=2)] = 0.25
    size_px: Annotated[int, Meta(ge=64, le=1024)] = DEFAULT_SIZE_PX
    extra: Literal["depthwise", "ordinary"] = "depthwise"
    scales: tuple[float, float] = (0.15, 0.9)
    normalization: Literal["batch", "none"] = "batch"
    anchors: Literal["geometric", "tensorflow"] = "geometric"

    @property
    def first_class_column(self) -> int:
        """Column of the first class in the scores.

        Readers distinguish boxes from scores by the boxes' four columns, so four classes get a
        fifth, unused column before them.
        """
        return 1 if len(self.labels) == 4 else 0

    @property
    def columns(self) -> int:
        return self.first_class_column + len(self.labels)

    @property
    def map_sizes(self) -> tuple[int, ...]:
        """Sides of the feature maps, in cells: strides 16, 32 and so on to a single cell."""
        sizes = [-(-self.size_px // 16)]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // 2))
        return tuple(sizes)
