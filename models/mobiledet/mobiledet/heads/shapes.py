"""Shapes of a dataset's objects: k-means with the distance 1 - IoU (Redmon and Farhadi, 2017)."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from mobiledet.dataset import Dataset
from mobiledet.design import Design
from mobiledet.looks import Samples

SEED = 21
CANVASES = 400  # a thousand boxes or more, in about 2 s
ROUNDS = 100  # far more than it takes until no box changes its group
# Anchors of a cell, by the number of maps: five as in YOLO2, three for each map as in YOLO3.
PER_CELL = {1: 5, 2: 3}

Sizes = npt.NDArray[np.float32]


def designed(design: Design, head: str, dataset: Dataset, maps: int = 2) -> Design:
    """The design with another head; that of the grid gets the dataset's anchors for its maps."""
    if head != "grid":
        return msgspec.structs.replace(design, head=head, grid_anchors=())
    sizes = canvas_sizes(dataset, design.size_px)
    found = cluster(sizes, PER_CELL[maps] * maps).tolist()
    anchors = tuple(
        tuple((float(w), float(h)) for w, h in found[start : start + PER_CELL[maps]])
        for start in range(0, len(found), PER_CELL[maps])
    )
    return msgspec.structs.replace(design, head=head, grid_anchors=anchors)


def canvas_sizes(dataset: Dataset, size_px: int, canvases: int = CANVASES) -> Sizes:
    """(n, 2) width and height of the objects on inputs of the training, in shares of the input."""
    samples, random = Samples(dataset, size_px), np.random.default_rng(SEED)
    boxes = [samples.draw(random).boxes_xyxy for _ in range(canvases)]
    corners = np.concatenate(boxes)
    return np.asarray((corners[:, 2:] - corners[:, :2]) / size_px, np.float32)


def cluster(sizes: Sizes, count: int) -> Sizes:
    """(count, 2) the mean shapes of `count` groups, by area. sizes: (n, 2), at least one.

    It begins with shapes at equal steps of the area's order, so that the same sizes always give
    the same result.
    """
    ordered = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
    places = (np.arange(count) + 0.5) / count * len(ordered)
    means = ordered[places.astype(int)]
    for _ in range(ROUNDS):
        group = shape_iou(ordered, means).argmax(axis=1)
        moved = np.stack([
            ordered[group == k].mean(axis=0) if (group == k).any() else means[k]
            for k in range(count)
        ])  # fmt: skip
        if np.array_equal(moved, means):
            break
        means = moved
    return np.asarray(means[np.argsort(means.prod(axis=1), kind="stable")], np.float32)


def shape_iou(one: Sizes, other: Sizes) -> npt.NDArray[np.float32]:
    """IoU of boxes with a common centre: (n, 2), (m, 2) -> (n, m)."""
    shared = np.minimum(one[:, None], other[None]).prod(axis=2)
    union = one.prod(axis=1)[:, None] + other.prod(axis=1)[None] - shared
    return np.asarray(shared / union, np.float32)
