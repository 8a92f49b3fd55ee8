"""Convolution blocks, as the float network is trained and as its quantized twin is tuned.

A network is written once against `Blocks`; what a block consists of is chosen by what is passed in.
"""

from __future__ import annotations

from typing import Any, Protocol

from mobiledet.tensorflow import tf

Tensor = Any
MOMENTUM = 0.97  # of the batch statistics: datasets here are small, and epochs few
EPSILON = 1e-3


class Blocks(Protocol):
    """How a network's layers are made. All of it is NHWC, padding SAME."""

    def image(self, size_px: int) -> Tensor:
        """The input: (batch, size, size, 3) float32 in -1..1."""
        ...

    def conv(
        self, x: Tensor, filters: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        """Convolution, normalization, ReLU6."""
        ...

    def depthwise(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        """3x3 of each channel by itself, normalization, ReLU6."""
        ...

    def linear(self, x: Tensor, filters: int, name: str, *, kernel: int, bias: float) -> Tensor:
        """Convolution with a bias that starts at `bias`, and nothing after it."""
        ...


class FloatBlocks:
    """What is trained: batch normalization (Ioffe and Szegedy, 2015) after each convolution."""

    def __init__(self, weight_decay: float = 4e-5) -> None:
        self._decay = weight_decay

    def image(self, size_px: int) -> Tensor:
        return tf().keras.Input((size_px, size_px, 3), name="image")

    def conv(
        self, x: Tensor, filters: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        layers = tf().keras.layers
        x = layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=tf().keras.regularizers.L2(self._decay),
            name=name,
        )(x)
        return self._normalized(x, name)

    def depthwise(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        # No weight decay here: there is little in a 3x3 kernel to decay (Howard et al., 2017).
        x = tf().keras.layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer="he_normal",
            name=name,
        )(x)
        return self._normalized(x, name)

    def linear(self, x: Tensor, filters: int, name: str, *, kernel: int, bias: float) -> Tensor:
        keras = tf().keras
        return keras.layers.Conv2D(
            filters,
            kernel,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            kernel_regularizer=keras.regularizers.L2(self._decay),
            bias_initializer=keras.initializers.Constant(bias),
            name=name,
        )(x)

    def _normalized(self, x: Tensor, name: str) -> Tensor:
        layers = tf().keras.layers
        x = layers.BatchNormalization(
            momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}/normalized"
        )(x)
        return layers.ReLU(6.0, name=f"{name}/relu6")(x)
