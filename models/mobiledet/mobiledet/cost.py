"""The cost of a network, counted on its graph: multiply-accumulates and parameters."""

from __future__ import annotations

import math
from typing import Any


def macs_by_layer(model: Any) -> dict[str, int]:
    """Multiply-accumulates for one picture, by the name of each layer that has a kernel.

    Each weight of a kernel is used once at each place of the layer's output.
    """
    macs = {}
    for layer in model.layers:
        kernel = next((w for w in layer.weights if "kernel" in w.name), None)
        if kernel is not None:
            places = math.prod(layer.output.shape[1:-1])
            macs[layer.name] = int(places * math.prod(kernel.shape))
    return macs


def parameters(model: Any) -> int:
    """The number of trained weights, without the running statistics, which are folded in."""
    return int(sum(math.prod(weight.shape) for weight in model.trainable_weights))
