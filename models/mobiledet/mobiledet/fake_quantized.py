"""The network's twin for quantization-aware training (Jacob et al., 2018).

Its normalization is folded into its kernels. Kernels and activations are rounded as in the int8
file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.blocks import EPSILON, HARD_SWISH_ADDEND, Activation, CommonBlocks, Tensor
from mobiledet.design import Design
from mobiledet.gate_ranges import cut_before_gates
from mobiledet.network import build
from mobiledet.rounded_layers import activation_layer, conv_layer, depthwise_layer
from mobiledet.tensorflow import tf

ROUNDED = ".rounded"  # ends the names of layers that round
# Smallest upper limit of an activation, so that one that is always 0 has a range. Chosen.
MIN_RANGE = 0.05
MEASURED_AT_ONCE = 16  # images; limits the memory for activations

Range = npt.NDArray[np.float32]  # (2,): low, high


class FakeQuantizedBlocks(CommonBlocks):
    """Blocks without normalization, rounded to 8 bits; weights and ranges are set afterwards."""

    def image(self, size_px: int) -> Tensor:
        # Not rounded: the daemon's pixels are levels already, and `to_int8` fixes their range.
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
        x = conv_layer()(filters, kernel, stride, name=name)(x)
        return self.activated(x, name, activation)

    def depthwise(
        self,
        x: Tensor,
        name: str,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Activation = "relu6",
    ) -> Tensor:
        x = depthwise_layer()(kernel, stride, name=name)(x)
        return self.activated(x, name, activation)

    def linear(
        self,
        x: Tensor,
        filters: int,
        name: str,
        *,
        kernel: int,
        bias: float,  # noqa: ARG002
    ) -> Tensor:
        return self.rounded(conv_layer()(filters, kernel, 1, name=name)(x), name)

    def biased(self, x: Tensor, filters: int, name: str) -> Tensor:
        return conv_layer()(filters, 1, 1, name=name)(x)

    def rounded(self, x: Tensor, name: str) -> Tensor:
        return activation_layer()(-1.0, 1.0, name=f"{name}{ROUNDED}")(x)

    def share(self, x: Tensor, name: str) -> Tensor:
        return activation_layer()(0.0, 1.0, name=f"{name}{ROUNDED}")(x)


def twin_of(model: Any, design: Design, images: npt.NDArray[np.float32]) -> Any:
    """The twin of a trained float model, its ranges measured on `images`, (n, size, size, 3)."""
    twin = build(design, FakeQuantizedBlocks())
    for layer in twin.layers:
        if isinstance(layer, (conv_layer(), depthwise_layer())):
            layer.set_weights(_folded(model, layer.name))
    names = [x.name.removesuffix(ROUNDED) for x in twin.layers if x.name.endswith(ROUNDED)]
    for name, (low, high) in _ranges(model, names, images).items():
        twin.get_layer(f"{name}{ROUNDED}").set_weights([np.float32(low), np.float32(high)])
    return twin


def _folded(model: Any, name: str) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias with the batch statistics in them."""
    layer = model.get_layer(name)
    weights = layer.get_weights()
    if len(weights) == 2:  # it has a bias and no normalization
        return [weights[0], _uneven(weights[1])]
    gamma, beta, mean, variance = model.get_layer(f"{name}.normalized").get_weights()
    factor = gamma / np.sqrt(variance + EPSILON)
    kernel = weights[0]
    depthwise = isinstance(layer, tf().keras.layers.DepthwiseConv2D)
    shaped = factor[:, None] if depthwise else factor
    return [kernel * shaped, _uneven(beta - mean * factor)]


def _uneven(bias: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The bias, whose values are not all equal.

    The converter would divide each of equal values by the step of the first channel.
    """
    if len(bias) > 1 and bias[0] != 0 and np.ptp(bias) == 0:
        bias = bias.copy()
        bias[0] = np.nextafter(bias[0], np.float32(0))
    return bias


def _ranges(model: Any, names: list[str], images: npt.NDArray[np.float32]) -> dict[str, Range]:
    """Lowest and highest value of each activation, by its layer's name.

    All box codes share one range, and so do all logits: each output is joined in one tensor. A
    tensor before hard-swish ends at -3, as everything below becomes 0.
    """
    outputs = [_layer(model, name).output for name in names]
    ops = tf().keras.ops
    measure = tf().keras.Model(model.input, [ops.stack([ops.min(x), ops.max(x)]) for x in outputs])
    ranges = {name: np.array([0, MIN_RANGE], np.float32) for name in names}
    for start in range(0, len(images), MEASURED_AT_ONCE):
        values = measure(images[start : start + MEASURED_AT_ONCE], training=False)
        for name, value in zip(names, values, strict=True):
            low, high = np.asarray(value, np.float32)
            ranges[name] = _joined([ranges[name], np.array([low, high])])
    for name in names:
        if f"{name}.shifted" in ranges and f"{name}.product" in ranges:  # hard-swish follows
            ranges[name] = ranges[name].clip(min=-HARD_SWISH_ADDEND)
    cut_before_gates(model, ranges, images)
    for kind in model.output_names:
        joined = [name for name in names if name.startswith(kind) and "." not in name]
        ranges |= dict.fromkeys(joined, _joined([ranges[name] for name in joined]))
    return ranges


def _layer(model: Any, name: str) -> Any:
    """The float network's layer whose output the twin rounds: a convolution is normalized first."""
    normalized = f"{name}.normalized"
    known = {layer.name for layer in model.layers}
    return model.get_layer(normalized if normalized in known else name)


def _joined(ranges: list[Range]) -> Range:
    """The smallest range that contains all others."""
    lows, highs = np.array(ranges, np.float32).T
    return np.array([lows.min(), highs.max()], np.float32)
