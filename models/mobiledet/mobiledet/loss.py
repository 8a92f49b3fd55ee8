"""The loss of SSD: one part for the boxes, one for the classes."""

from __future__ import annotations

from typing import Literal

from mobiledet.blocks import Tensor
from mobiledet.tensorflow import tf

Kind = Literal["hard-negative", "focal"]
NEGATIVES_PER_OBJECT = 3.0  # Liu et al., 2016
MIN_NEGATIVES = 10.0  # so that a picture without an object counts too
FOCAL_GAMMA, FOCAL_ALPHA = 2.0, 0.25  # Lin et al., 2017


def detection_loss(
    codes: Tensor,
    logits: Tensor,
    true_codes: Tensor,
    true_classes: Tensor,
    first_class_column: int,
    kind: Kind,
) -> tuple[Tensor, Tensor]:
    """The two losses of a batch for each matched anchor: (localization, classification), scalars.

    codes, true_codes: (b, n, 4). logits: (b, n, columns). true_classes: (b, n) as in `Targets`.
    """
    matched = tf().cast(true_classes > 0, tf().float32)
    count = tf().maximum(tf().reduce_sum(matched), 1.0)
    location = tf().reduce_sum(smooth_l1(codes - true_codes), axis=-1) * matched
    wanted = wanted_columns(true_classes, first_class_column, logits.shape[-1])
    entropy = tf().nn.sigmoid_cross_entropy_with_logits(wanted, logits)
    if kind == "focal":
        known = tf().cast(true_classes >= 0, tf().float32)
        classification = tf().reduce_sum(_focal(entropy, wanted, logits), axis=-1) * known
    else:
        entropy = tf().reduce_sum(entropy, axis=-1)
        classification = entropy * (matched + _hard_negatives(entropy, true_classes, matched))
    return tf().reduce_sum(location) / count, tf().reduce_sum(classification) / count


def wanted_columns(true_classes: Tensor, first_class_column: int, columns: int) -> Tensor:
    """(b, n, columns): 1 in the column of an object's class, otherwise 0."""
    column = tf().where(true_classes > 0, true_classes - 1 + first_class_column, -1)
    return tf().one_hot(column, columns)  # all 0 for -1


def smooth_l1(error: Tensor) -> Tensor:
    size = tf().abs(error)
    return tf().where(size < 1.0, 0.5 * size * size, size - 0.5)


def _focal(entropy: Tensor, wanted: Tensor, logits: Tensor) -> Tensor:
    share = tf().sigmoid(logits)
    missed = wanted * (1 - share) + (1 - wanted) * share
    weight = wanted * FOCAL_ALPHA + (1 - wanted) * (1 - FOCAL_ALPHA)
    return weight * missed**FOCAL_GAMMA * entropy


def _hard_negatives(entropy: Tensor, true_classes: Tensor, matched: Tensor) -> Tensor:
    """(b, n): 1 for the background anchors with the largest errors of each picture, otherwise 0."""
    wanted = NEGATIVES_PER_OBJECT * tf().reduce_sum(matched, axis=1)
    wanted = tf().cast(tf().maximum(wanted, MIN_NEGATIVES), tf().int32)
    mistaken = tf().where(tf().equal(true_classes, 0), entropy, -1.0)
    order = tf().argsort(tf().argsort(mistaken, axis=1, direction="DESCENDING"), axis=1)
    chosen = (order < wanted[:, None]) & tf().equal(true_classes, 0)
    return tf().stop_gradient(tf().cast(chosen, tf().float32))
