"""Boxes of codes, and their overlap, as tensors that a loss can be derived by."""

from __future__ import annotations

import numpy as np

from edge.vision.detector.model_file import Anchors
from mobiledet.blocks import Tensor
from mobiledet.design import BOX_SCALES
from mobiledet.tensorflow import tf

# Limit of a logarithm of sizes, so that the first steps can't give infinite boxes: 55 anchors.
MAX_LOG_SIZE = 4.0
EPSILON = 1e-7


def boxes_of(codes: Tensor, anchors: Anchors) -> Tensor:
    """`decode_boxes` for a batch: codes (b, n, 4) -> x0 y0 x1 y1 in shares of the input."""
    offsets = codes * (1 / np.array(BOX_SCALES, np.float32))
    centres = offsets[..., :2] * anchors[:, 2:] + anchors[:, :2]
    sizes = tf().exp(tf().minimum(offsets[..., 2:], MAX_LOG_SIZE)) * anchors[:, 2:]
    corners = tf().concat([centres - sizes / 2, centres + sizes / 2], axis=-1)
    return tf().gather(corners, [1, 0, 3, 2], axis=-1)


def overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU (Rezatofighi et al., 2019) of pairs of boxes: (..., 4) -> (...)."""
    least = tf().maximum(one[..., :2], other[..., :2])
    most = tf().minimum(one[..., 2:], other[..., 2:])
    shared = tf().reduce_prod(tf().maximum(most - least, 0.0), axis=-1)
    areas = [tf().reduce_prod(box[..., 2:] - box[..., :2], axis=-1) for box in (one, other)]
    union = areas[0] + areas[1] - shared
    low = tf().minimum(one[..., :2], other[..., :2])
    high = tf().maximum(one[..., 2:], other[..., 2:])
    hull = tf().reduce_prod(high - low, axis=-1)
    iou = shared / (union + EPSILON)
    return iou, iou - (hull - union) / (hull + EPSILON)
