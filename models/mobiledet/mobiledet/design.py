"""The design of a network, stored beside its weights so that a run can be continued."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.errors import PermanentError

# Input of the daemon's default model. On a smaller one a canvas holds fewer crops, so that tracks
# get fewer looks (models/README.md).
DEFAULT_SIZE_PX = 300
ANCHOR_FREE_MAPS = 3  # strides 16, 32 and 64
BOX_SCALES = (10.0, 10.0, 5.0, 5.0)  # of the box code, y x h w, as in published SSD models


Backbone = Literal[
    "mobilenet_v1", "mobilenet_v1_patches", "mobilenet_v3_large", "mobilenet_v3_small", "fire"
]


class DesignError(PermanentError, ValueError):
    """Settings that don't fit together; as a ValueError it also refuses such a `run.json`."""


class Design(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network, without its weights.

    extra: kind of the layers after the backbone and of the predictors. scales: sides of the
    smallest and of the largest anchors of the SSD head, as shares of the input. anchors: of the
    SSD head; "tensorflow" are those of TensorFlow's published models, which need no scales.
    grid_anchors: those of the grid head, (width, height) in shares of the input, for each of its
    one or two maps. normalization: after each convolution; "none" where a start's kernels already
    contain it.
    """

    labels: tuple[str, ...]
    backbone: Backbone = "mobilenet_v1"
    alpha: Annotated[float, Meta(gt=0, le=2)] = 0.25
    size_px: Annotated[int, Meta(ge=64, le=1024)] = DEFAULT_SIZE_PX
    extra: Literal["depthwise", "ordinary"] = "depthwise"
    scales: tuple[float, float] = (0.15, 0.9)
    anchors: Literal["geometric", "tensorflow"] = "geometric"
    normalization: Literal["batch", "none"] = "batch"
    head: Literal["ssd", "grid", "anchor_free"] = "ssd"
    grid_anchors: tuple[tuple[tuple[float, float], ...], ...] = ()

    def __post_init__(self) -> None:
        if self.backbone == "mobilenet_v1_patches" and self.size_px % 4:
            raise DesignError(
                f"mobilenet_v1_patches needs a size_px that 4 divides, not {self.size_px}"
            )
        if self.head == "grid" and not (
            len(self.grid_anchors) in (1, 2) and all(self.grid_anchors)
        ):
            raise DesignError("the grid head needs anchors for one or two maps")

    @property
    def first_class_column(self) -> int:
        """Column of the first class in the scores.

        Readers distinguish boxes from scores by the boxes' four columns, so four classes get a
        fifth, unused column before them.
        """
        return 1 if len(self.labels) == 4 else 0

    @property
    def has_objectness(self) -> bool:
        """Whether the network has an output for objects of any class beside those of classes."""
        return self.head == "grid" and len(self.labels) > 1

    @property
    def columns(self) -> int:
        return self.first_class_column + len(self.labels)

    @property
    def map_sizes(self) -> tuple[int, ...]:
        """Sides of the head's feature maps, in cells: strides 16, 32 and so on.

        Those of the SSD head end with a single cell.
        """
        sizes = [-(-self.size_px // 16)]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // 2))
        maps = {"ssd": len(sizes), "grid": len(self.grid_anchors), "anchor_free": ANCHOR_FREE_MAPS}
        return tuple(sizes[: maps[self.head]])
