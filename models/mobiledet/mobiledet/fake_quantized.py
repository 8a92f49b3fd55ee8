"""The network's twin for quantization-aware training (Jacob et al., 2018).

Its normalization is folded into its kernels, its kernels and activations are rounded as int8 will
round them, and the gradient passes through (straight-through estimator).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.blocks import EPSILON, Tensor
from mobiledet.design import Design
from mobiledet.network import build
from mobiledet.tensorflow import tf

RELU6 = 6.0
LEAST_RANGE = 0.05


class FakeQuantizedBlocks:
    """Blocks without normalization, rounded to 8 bits; weights and ranges are set afterwards."""

    def image(self, size_px: int) -> Tensor:
        image = tf().keras.Input((size_px, size_px, 3), name="image")
        # The daemon's levels: p stands for p / 127.5 - 1.
        return _layers()["Rounded"](-1.0, 127.5**-1 * 255 - 1, name="image/rounded")(image)

    def conv(
        self, x: Tensor, filters: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        x = _layers()["Conv"](filters, kernel, stride, name=name)(x)
        return self._bounded(x, name)

    def depthwise(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        x = _layers()["Depthwise"](stride, name=name)(x)
        return self._bounded(x, name)

    def linear(self, x: Tensor, filters: int, name: str, *, kernel: int, bias: float) -> Tensor:  # noqa: ARG002
        x = _layers()["Conv"](filters, kernel, 1, name=name)(x)
        return _layers()["Rounded"](-1.0, 1.0, name=f"{name}/rounded")(x)

    def _bounded(self, x: Tensor, name: str) -> Tensor:
        x = tf().keras.layers.ReLU(RELU6, name=f"{name}/relu6")(x)
        return _layers()["Rounded"](0.0, RELU6, name=f"{name}/rounded")(x)


def twin_of(model: Any, design: Design, images: npt.NDArray[np.float32]) -> Any:
    """A twin of a trained float model, its ranges measured on `images`, (n, size, size, 3)."""
    twin = build(design, FakeQuantizedBlocks())
    for layer in twin.layers:
        if isinstance(layer, (_layers()["Conv"], _layers()["Depthwise"])):
            layer.set_weights(_folded(model, layer.name))
    for name, (low, high) in _ranges(model, images).items():
        twin.get_layer(f"{name}/rounded").set_weights([np.float32(low), np.float32(high)])
    return twin


def _folded(model: Any, name: str) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias with the batch statistics in them."""
    weights = model.get_layer(name).get_weights()
    if len(weights) == 2:  # linear: has a bias, and no normalization
        return list(weights)
    gamma, beta, mean, variance = model.get_layer(f"{name}/normalized").get_weights()
    factor = gamma / np.sqrt(variance + EPSILON)
    kernel = weights[0]
    depthwise = "depthwise" in model.get_layer(name).weights[0].name.rsplit("/", 1)[-1]
    shaped = factor[:, None] if depthwise else factor
    return [kernel * shaped, beta - mean * factor]


def _ranges(model: Any, images: npt.NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """Least and greatest value of each activation, by its layer's name.

    All box codes share one range, and so do all logits: they are joined in one tensor.
    """
    outputs = {}
    for layer in model.layers:
        if layer.name.endswith("/relu6"):
            outputs[layer.name.removesuffix("/relu6")] = layer.output
        elif len(layer.weights) == 2 and layer.name.startswith(("codes", "logits")):
            outputs[layer.name] = layer.output
    names = list(outputs)
    measure = tf().keras.Model(
        model.input,
        [
            tf().stack([tf().reduce_min(outputs[name]), tf().reduce_max(outputs[name])])
            for name in names
        ],
    )
    found: dict[str, npt.NDArray[np.float32]] = {}
    for start in range(0, len(images), 16):
        values = measure(images[start : start + 16], training=False)
        for name, value in zip(names, values, strict=True):
            pair = found.setdefault(name, np.zeros(2, np.float32))
            low, high = np.asarray(value, np.float32)
            pair[:] = min(pair[0], low), max(pair[1], high, LEAST_RANGE)
    for kind in ("codes", "logits"):
        own = [name for name in names if name.startswith(kind) and "/" not in name]
        both = np.array([min(found[n][0] for n in own), max(found[n][1] for n in own)], np.float32)
        for name in own:
            found[name] = both
    return {name: (float(pair[0]), float(pair[1])) for name, pair in found.items()}


@cache
def _layers() -> dict[str, Any]:
    """The layer classes; made when first asked for, as their base is TensorFlow's."""
    keras = tf().keras

    class Rounded(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """An activation in 256 levels between two limits."""

        def __init__(self, low: float, high: float, name: str) -> None:
            super().__init__(name=name)
            self._start = low, high

        def build(self, _shape: Any) -> None:
            self.low, self.high = (
                self.add_weight(
                    kind, (), initializer=keras.initializers.Constant(value), trainable=False
                )
                for kind, value in zip(("low", "high"), self._start, strict=True)
            )

        def call(self, x: Tensor) -> Tensor:
            return tf().quantization.fake_quant_with_min_max_vars(x, self.low, self.high)

    class Conv(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Convolution with a bias, its kernel rounded per filter."""

        def __init__(self, filters: int, size: int, stride: int, name: str) -> None:
            super().__init__(name=name)
            self._filters, self._size, self._stride = filters, size, stride

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(
                "kernel", (self._size, self._size, shape[-1], self._filters)
            )
            self.bias = self.add_weight("bias", (self._filters,))

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            kernel = _rounded(self.kernel) if training else self.kernel
            x = tf().nn.conv2d(x, kernel, self._stride, "SAME")
            return tf().nn.bias_add(x, self.bias)

    class Depthwise(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """3x3 of each channel with a bias, its kernel rounded per channel."""

        def __init__(self, stride: int, name: str) -> None:
            super().__init__(name=name)
            self._stride = stride

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight("kernel", (3, 3, shape[-1], 1))
            self.bias = self.add_weight("bias", (shape[-1],))

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            kernel = self.kernel
            if training:
                kernel = tf().transpose(
                    _rounded(tf().transpose(kernel, (0, 1, 3, 2))), (0, 1, 3, 2)
                )
            strides = (1, self._stride, self._stride, 1)
            return tf().nn.bias_add(tf().nn.depthwise_conv2d(x, kernel, strides, "SAME"), self.bias)

    return {"Rounded": Rounded, "Conv": Conv, "Depthwise": Depthwise}


def _rounded(kernel: Tensor) -> Tensor:
    """A kernel in 255 levels for each filter, as the converter rounds it by itself."""
    largest = tf().stop_gradient(tf().reduce_max(tf().abs(kernel), axis=[0, 1, 2]))
    return tf().quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -largest, largest, narrow_range=True
    )
