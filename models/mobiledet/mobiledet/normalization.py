"""Batch normalization (Ioffe and Szegedy, 2015) in TensorFlow's fused operation.

Keras 3 calculates it in steps of its own, with which a step of training takes longer on a CPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mobiledet.tensorflow import tf

Tensor = Any


@cache
def normalization_layer() -> Any:
    """The class of normalization layers, with the weights of Keras' own."""
    keras = tf().keras

    class FusedNormalization(keras.layers.BatchNormalization):  # type: ignore[misc, name-defined]
        """Normalizes NHWC tensors by the batch in training, otherwise by running statistics."""

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            if not training:
                return super().call(x, training=False)
            scale, offset = (tf().cast(v, tf().float32) for v in (self.gamma, self.beta))
            x, mean, variance = tf().compat.v1.nn.fused_batch_norm(
                x, scale, offset, epsilon=self.epsilon, is_training=True
            )
            for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept = tf().cast(running, tf().float32)
                running.assign(kept * self.momentum + value * (1 - self.momentum))
            return x

    return FusedNormalization
