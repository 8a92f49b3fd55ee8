"""What a layout may look at to recognize a model, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.vision.detector.graph import Graph, Tensor
from edge.vision.detector.metadata import MediaPipeDecoding
from edge.vision.detector.model_file import Anchors, DetectorSpec
from edge.vision.types import Detections

Raw = npt.NDArray[Any]
Real = npt.NDArray[np.float32]
Decode = Callable[[Sequence[Raw], float], Detections]
MAX_CANDIDATES = 1000  # boxes that enter NMS, so that noise can't make it expensive: 10 ms here
LARGEST_SHARE = 2.0  # a coordinate above this is in pixels, one below it is a share of the picture


@dataclass(frozen=True, slots=True)
class Clues:
    """All that is known of a model before its layout is.

    outputs: in the graph's order, with their shapes for one picture. size: (width, height).
    counts: the numbers of classes that the labels can belong to, empty without labels.
    background: whether the first label is the background's. ultralytics: its metadata.
    anchor_pairs: the setting model.anchors, (width, height) in cells. named: whether the setting
    model.layout names the layout that looks at these clues.
    """

    graph: Graph
    outputs: tuple[Tensor, ...]
    size: tuple[int, int]
    counts: frozenset[int]
    background: bool
    spec: DetectorSpec | None = None
    anchors: Anchors | None = None
    mediapipe: MediaPipeDecoding | None = None
    ultralytics: Mapping[str, Any] | None = None
    output_names: tuple[str, ...] = ()
    anchor_pairs: tuple[tuple[float, float], ...] = ()
    named: bool = False

    def may_have(self, classes: int) -> bool:
        """Whether a number of classes is credible: that of the labels, or any if it must fit."""
        return classes in self.counts or (self.named and classes > 0)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the outputs, without the batch."""
        return [one.shape[1:] for one in self.outputs]


@dataclass(frozen=True, slots=True)
class Decoding:
    """A recognized layout.

    classes: without the background; None if the file doesn't tell. decode: raw outputs without
    their batch, in the graph's order, and the lowest score -> detections before NMS, boxes in
    shares (0..1) of the input. convention: range of a float input, None if there is none.
    """

    decode: Decode
    classes: int | None
    convention: str | None = None
    bgr: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One row of the table. match: the decoding of a model, or None if it has another layout.

    `match` raises ModelError with the end of a sentence where a model fits but tells too little.
    """

    name: str
    about: str
    match: Callable[[Clues], Decoding | None]


def real(raw: Raw, tensor: Tensor) -> Real:
    """Raw values of a tensor as float32."""
    values = raw.astype(np.float32)
    if tensor.scale and raw.dtype.kind in "iu":
        return (values - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
    return values


def raw_threshold(value: float, tensor: Tensor) -> float:
    """The lowest raw value of a tensor that means at least `value`."""
    if tensor.scale and tensor.kind in ("int8", "uint8", "int16"):
        return float(np.ceil(value / tensor.scale - 1e-6)) + tensor.zero_point
    return value


def best_rows(scores: Real, limit: int = MAX_CANDIDATES) -> npt.NDArray[np.intp]:
    """Rows of the highest scores, at most `limit`, in their order: (n,) -> (m,)."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, limit)[:limit])


def best_class(scores: Real) -> tuple[npt.NDArray[np.int64], Real]:
    """The class with the highest score of each row: (n, classes) -> (n,), (n,)."""
    if not len(scores):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    class_ids = scores.argmax(axis=1)
    return class_ids.astype(np.int64), scores[np.arange(len(scores)), class_ids]


def from_centres(boxes: Real) -> Real:
    """Boxes cx cy w h -> x0 y0 x1 y1, (n, 4)."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def as_shares(boxes: Real, size: tuple[int, int], *, in_pixels: bool) -> Real:
    """Boxes in shares of the input, from pixels of it or from shares."""
    if not in_pixels:
        return boxes
    return np.asarray(boxes / np.array([*size, *size], np.float32))


def sigmoid(values: Real) -> Real:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def grid_sizes(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """(columns, rows) of each level of a pyramid; frameworks round up."""
    return [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]


def cell_count(size: tuple[int, int], strides: Sequence[int]) -> int:
    return sum(columns * rows for columns, rows in grid_sizes(size, strides))


def grid(size: tuple[int, int], strides: Sequence[int]) -> Real:
    """Column, row and stride of each cell, level by level and row by row: (n, 3)."""
    parts = []
    for (columns, rows), stride in zip(grid_sizes(size, strides), strides, strict=True):
        row, column = np.divmod(np.arange(columns * rows), columns)
        parts.append(np.stack([column, row, np.full_like(row, stride)], axis=1))
    return np.asarray(np.concatenate(parts), np.float32)
