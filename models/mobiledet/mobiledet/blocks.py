"""Convolution blocks for the float network.

A network is defined once, in terms of `Blocks`. These make it the float network or its quantized
twin (`fake_quantized`).
"""

from __future__ import annotations

from typing import Any, Protocol

from mobiledet.normalization import normalization_layer
from mobiledet.tensorflow import tf

Tensor = Any
MOMENTUM = 0.97  # of the batch statistics; below Keras' 0.99, as datasets and epochs are small here
EPSILON = 1e-3  # Keras' default
WEIGHT_DECAY = 4e-5  # as MobileNet v1 was trained for publication
PREDICTOR_STDDEV = 0.01  # of the predictors' first weights (Lin et al., 2017)


class Blocks(Protocol):
    """Makes a network's layers. Tensors are NHWC, padding is SAME."""

    def image(self, size_px: int) -> Tensor:
        """The input: (batch, size, size, 3) float32 in -1..1."""
        ...

    def conv(
        self, x: Tensor, filters: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        """Convolution, normalization, ReLU6."""
        ...

    def depthwise(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        """3x3 convolution of each channel, normalization, ReLU6."""
        ...

    def linear(self, x: Tensor, filters: int, name: str, *, kernel: int, bias: float) -> Tensor:
        """Convolution alone, with a bias that starts at `bias`."""
        ...

    def share(self, x: Tensor, name: str) -> Tensor:
        """Values of 0..1, as a product of scores gives them."""
        ...


class FloatBlocks:
    """The blocks that are trained, with batch normalization (Ioffe and Szegedy, 2015)."""

    def __init__(self, weight_decay: float = WEIGHT_DECAY) -> None:
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
        # No weight decay: a 3x3 kernel has few weights (Howard et al., 2017).
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
            kernel_initializer=keras.initializers.RandomNormal(stddev=PREDICTOR_STDDEV),
            kernel_regularizer=keras.regularizers.L2(self._decay),
            bias_initializer=keras.initializers.Constant(bias),
            name=name,
        )(x)

    def share(self, x: Tensor, name: str) -> Tensor:  # noqa: ARG002
        return x

    def _normalized(self, x: Tensor, name: str) -> Tensor:
        x = normalization_layer()(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}.normalized")(x)
        return tf().keras.layers.ReLU(6.0, name=f"{name}.relu6")(x)
