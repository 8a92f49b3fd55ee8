"""Keras layers that round as the int8 file does. The gradient of the rounding is taken as 1.

That is the straight-through estimator (Jacob et al., 2018). Each class is made when it is first
needed, as its base class is TensorFlow's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mobiledet.blocks import Tensor
from mobiledet.tensorflow import tf


@cache
def activation_layer() -> Any:
    """The class of layers that round an activation."""
    keras = tf().keras

    class RoundedActivation(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """An activation in 256 levels between two limits."""

        def __init__(self, low: float, high: float, name: str) -> None:
            super().__init__(name=name)
            self._start = low, high

        def build(self, _shape: Any) -> None:
            self.low, self.high = (
                self.add_weight(
                    name=kind,
                    shape=(),
                    initializer=keras.initializers.Constant(value),
                    trainable=False,
                )
                for kind, value in zip(("low", "high"), self._start, strict=True)
            )

        def call(self, x: Tensor) -> Tensor:
            return tf().quantization.fake_quant_with_min_max_vars(x, self.low, self.high)

    return RoundedActivation


@cache
def conv_layer() -> Any:
    """The class of convolutions with a rounded kernel."""
    keras = tf().keras

    class RoundedConv(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Convolution with a bias; in training its kernel is rounded per filter."""

        def __init__(self, filters: int, size: int, stride: int, name: str) -> None:
            super().__init__(name=name)
            self._filters, self._size, self._stride = filters, size, stride

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(
                name="kernel", shape=(self._size, self._size, shape[-1], self._filters)
            )
            self.bias = self.add_weight(name="bias", shape=(self._filters,))

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            kernel = rounded_kernel(self.kernel) if training else self.kernel
            x = tf().nn.conv2d(x, kernel, self._stride, "SAME")
            return tf().nn.bias_add(x, self.bias)

    return RoundedConv


@cache
def depthwise_layer() -> Any:
    """The class of depthwise convolutions with a rounded kernel."""
    keras = tf().keras

    class RoundedDepthwise(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Each channel by itself, with a bias; in training its kernel is rounded per channel."""

        def __init__(self, size: int, stride: int, name: str) -> None:
            super().__init__(name=name)
            self._size, self._stride = size, stride

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(
                name="kernel", shape=(self._size, self._size, shape[-1], 1)
            )
            self.bias = self.add_weight(name="bias", shape=(shape[-1],))

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            kernel = self.kernel
            if training:  # channels last, as `rounded_kernel` expects them
                swapped = tf().transpose(kernel, (0, 1, 3, 2))
                kernel = tf().transpose(rounded_kernel(swapped), (0, 1, 3, 2))
            strides = (1, self._stride, self._stride, 1)
            return tf().nn.bias_add(tf().nn.depthwise_conv2d(x, kernel, strides, "SAME"), self.bias)

    return RoundedDepthwise


def rounded_kernel(kernel: Tensor) -> Tensor:
    """(h, w, in, out) in 255 levels for each output channel, as the converter rounds it."""
    largest = tf().stop_gradient(tf().reduce_max(tf().abs(kernel), axis=[0, 1, 2]))
    return tf().quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -largest, largest, narrow_range=True
    )
