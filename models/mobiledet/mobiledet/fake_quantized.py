"""The network's twin for quantization-aware training (Jacob et al., 2018).

Its normalization is folded into its kernels. Kernels and activations are rounded as in the int8
file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.blocks import EPSILON, Tensor
from mobiledet.design import Design
from mobiledet.network import build
from mobiledet.rounded_layers import activation_layer, conv_layer, depthwise_layer
from mobiledet.tensorflow import tf

RELU6 = 6.0
# Smallest upper limit of an activation, so that one that is always 0 has a range. Chosen.
MIN_RANGE = 0.05
MEASURED_AT_ONCE = 16  # images; limits the memory for activations

Range = npt.NDArray[np.float32]  # (2,): low, high


class FakeQuantizedBlocks:
    """Blocks without normalization, rounded to 8 bits; weights and ranges are set afterwards."""

    def image(self, size_px: int) -> Tensor:
        image = tf().keras.Input((size_px, size_px, 3), name="image")
        # The daemon's levels: pixel p is p / 127.5 - 1.
        return activation_layer()(-1.0, 127.5**-1 * 255 - 1, name="image.rounded")(image)

    def conv(
        self, x: Tensor, filters: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        x = conv_layer()(filters, kernel, stride, name=name)(x)
        return self._bounded(x, name)

    def depthwise(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        x = depthwise_layer()(stride, name=name)(x)
        return self._bounded(x, name)

    def linear(
        self,
        x: Tensor,
        filters: int,
        name: str,
        *,
        kernel: int,
        bias: float,  # noqa: ARG002
    ) -> Tensor:
        x = conv_layer()(filters, kernel, 1, name=name)(x)
        return activation_layer()(-1.0, 1.0, name=f"{name}.rounded")(x)

    def share(self, x: Tensor, name: str) -> Tensor:
        return activation_layer()(0.0, 1.0, name=f"{name}.rounded")(x)

    def _bounded(self, x: Tensor, name: str) -> Tensor:
        x = tf().keras.layers.ReLU(RELU6, name=f"{name}.relu6")(x)
        return activation_layer()(0.0, RELU6, name=f"{name}.rounded")(x)


def twin_of(model: Any, design: Design, images: npt.NDArray[np.float32]) -> Any:
    """The twin of a trained float model, its ranges measured on `images`, (n, size, size, 3)."""
    twin = build(design, FakeQuantizedBlocks())
    for layer in twin.layers:
        if isinstance(layer, (conv_layer(), depthwise_layer())):
            layer.set_weights(_folded(model, layer.name))
    for name, (low, high) in _ranges(model, images).items():
        twin.get_layer(f"{name}.rounded").set_weights([np.float32(low), np.float32(high)])
    return twin


def _folded(model: Any, name: str) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias with the batch statistics in them."""
    layer = model.get_layer(name)
    weights = layer.get_weights()
    if len(weights) == 2:  # linear: it has a bias and no normalization
        return list(weights)
    gamma, beta, mean, variance = model.get_layer(f"{name}.normalized").get_weights()
    factor = gamma / np.sqrt(variance + EPSILON)
    kernel = weights[0]
    depthwise = isinstance(layer, tf().keras.layers.DepthwiseConv2D)
    shaped = factor[:, None] if depthwise else factor
    return [kernel * shaped, beta - mean * factor]


def _ranges(model: Any, images: npt.NDArray[np.float32]) -> dict[str, Range]:
    """Lowest and highest value of each activation, by its layer's name.

    All box codes share one range, and so do all logits: each output is joined in one tensor.
    """
    outputs = _activations(model)
    ops = tf().keras.ops
    ends = [ops.stack([ops.min(x), ops.max(x)]) for x in outputs.values()]
    measure = tf().keras.Model(model.input, ends)
    ranges = {name: np.array([0, MIN_RANGE], np.float32) for name in outputs}
    for start in range(0, len(images), MEASURED_AT_ONCE):
        values = measure(images[start : start + MEASURED_AT_ONCE], training=False)
        for name, value in zip(outputs, values, strict=True):
            low, high = np.asarray(value, np.float32)
            ranges[name] = _joined([ranges[name], np.array([low, high])])
    for kind in model.output_names:
        names = [name for name in outputs if name.startswith(kind) and "." not in name]
        ranges |= dict.fromkeys(names, _joined([ranges[name] for name in names]))
    return ranges


def _activations(model: Any) -> dict[str, Tensor]:
    """The tensors that the twin rounds, by the name of the layer whose output they are."""
    outputs = {}
    for layer in model.layers:
        if layer.name.endswith(".relu6"):
            outputs[layer.name.removesuffix(".relu6")] = layer.output
        elif len(layer.weights) == 2 and layer.name.startswith(tuple(model.output_names)):
            outputs[layer.name] = layer.output
    return outputs


def _joined(ranges: list[Range]) -> Range:
    """The smallest range that contains all others."""
    lows, highs = np.array(ranges, np.float32).T
    return np.array([lows.min(), highs.max()], np.float32)
