"""Convolution blocks for the float network.

A network is defined once, in terms of `Blocks`. These make it the float network or its quantized
twin (`fake_quantized`).
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from mobiledet.normalization import normalization_layer
from mobiledet.tensorflow import tf

Tensor = Any
Activation = Literal["relu6", "relu", "hard_swish", "none"]
MOMENTUM = 0.97  # of the batch statistics; below Keras' 0.99, as datasets and epochs are small here
EPSILON = 1e-3  # Keras' default
WEIGHT_DECAY = 4e-5  # as MobileNet v1 was trained for publication
PREDICTOR_STDDEV = 0.01  # of the predictors' first weights (Lin et al., 2017)
# XNNPACK has no HARD_SWISH in int8. A constant that is not exactly 3 keeps the converter from
# fusing the additions and multiplications, which XNNPACK has.
HARD_SWISH_ADDEND = 3.0001


class Blocks(Protocol):
    """Makes a network's layers. Tensors are NHWC, padding is SAME."""

    def image(self, size_px: int) -> Tensor:
        """The input: (batch, size, size, 3) float32 in -1..1."""
        ...

    def conv(
        self,
        x: Tensor,
        filters: int,
        name: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = "relu6",
    ) -> Tensor:
        """Convolution, normalization, activation."""
        ...

    def depthwise(
        self,
        x: Tensor,
        name: str,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Activation = "relu6",
    ) -> Tensor:
        """Convolution of each channel, normalization, activation."""
        ...

    def linear(self, x: Tensor, filters: int, name: str, *, kernel: int, bias: float) -> Tensor:
        """Convolution alone, with a bias that starts at `bias`."""
        ...

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """The sum of two tensors of one shape."""
        ...

    def squeeze_excite(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Each channel times a share that depends on the means of all (Hu et al., 2018)."""
        ...


class CommonBlocks:
    """The parts that the float network and its twin have in common."""

    def rounded(self, x: Tensor, name: str) -> Tensor:  # noqa: ARG002
        """The tensor as the int8 file holds it. name: its layer's in the float network."""
        return x

    def biased(self, x: Tensor, filters: int, name: str) -> Tensor:
        """1x1 convolution with a bias, and nothing after it."""
        raise NotImplementedError

    def activated(self, x: Tensor, name: str, activation: Activation) -> Tensor:
        layers = tf().keras.layers
        if activation == "none":
            return self.rounded(x, name)
        if activation == "hard_swish":
            return self._hard_swish(self.rounded(x, name), name)
        limit = 6.0 if activation == "relu6" else None
        name = f"{name}.{activation}"
        return self.rounded(layers.ReLU(limit, name=name)(x), name)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        return self.rounded(tf().keras.layers.Add(name=name)([x, y]), name)

    def squeeze_excite(self, x: Tensor, filters: int, name: str) -> Tensor:
        layers = tf().keras.layers
        mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.mean")(x)
        narrow = self.biased(self.rounded(mean, f"{name}.mean"), filters, f"{name}.narrow")
        narrow = self.activated(narrow, f"{name}.narrow", "relu")
        share = self._shifted(self.biased(narrow, x.shape[-1], f"{name}.wide"), f"{name}.wide")
        share = self._sixth(share, f"{name}.share")
        return self.rounded(layers.Multiply(name=f"{name}.product")([x, share]), f"{name}.product")

    def _hard_swish(self, x: Tensor, name: str) -> Tensor:
        """X times a share that rises from 0 at -3 to 1 at 3 (Howard et al., 2019)."""
        share, product = self._shifted(x, name), f"{name}.product"
        x = tf().keras.layers.Multiply(name=product)([x, share])
        return self._sixth(self.rounded(x, product), f"{name}.hard_swish")

    def _shifted(self, x: Tensor, name: str) -> Tensor:
        name = f"{name}.shifted"
        return self.rounded(tf().keras.layers.ReLU(6.0, name=name)(x + HARD_SWISH_ADDEND), name)

    def _sixth(self, x: Tensor, name: str) -> Tensor:
        return self.rounded(tf().keras.layers.Rescaling(1 / 6, name=name)(x), name)


class FloatBlocks(CommonBlocks):
    """The blocks that are trained, with batch normalization (Ioffe and Szegedy, 2015).

    normalized: without it, convolutions have a bias instead.
    """

    def __init__(self, weight_decay: float = WEIGHT_DECAY, *, normalized: bool = True) -> None:
        self._decay = weight_decay
        self._is_normalized = normalized

    def image(self, size_px: int) -> Tensor:
        return tf().keras.Input((size_px, size_px, 3), name="image")

    def conv(
        self,
        x: Tensor,
        filters: int,
        name: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = "relu6",
    ) -> Tensor:
        layers = tf().keras.layers
        x = layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=not self._is_normalized,
            kernel_initializer="he_normal",
            kernel_regularizer=tf().keras.regularizers.L2(self._decay),
            name=name,
        )(x)
        return self.activated(self._normalized(x, name), name, activation)

    def depthwise(
        self,
        x: Tensor,
        name: str,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Activation = "relu6",
    ) -> Tensor:
        # No weight decay: such a kernel has few weights (Howard et al., 2017).
        x = tf().keras.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding="same",
            use_bias=not self._is_normalized,
            depthwise_initializer="he_normal",
            name=name,
        )(x)
        return self.activated(self._normalized(x, name), name, activation)

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

    def biased(self, x: Tensor, filters: int, name: str) -> Tensor:
        keras = tf().keras
        decay = keras.regularizers.L2(self._decay)
        return keras.layers.Conv2D(
            filters, 1, kernel_initializer="he_normal", kernel_regularizer=decay, name=name
        )(x)

    def _normalized(self, x: Tensor, name: str) -> Tensor:
        if not self._is_normalized:
            return x
        return normalization_layer()(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}.normalized")(
            x
        )
