"""What a network costs, counted on its built graph: multiply-accumulates and parameters."""

from __future__ import annotations

import math
from typing import Any


def macs_by_layer(model: Any) -> dict[str, int]:
    """Multiply-accumulates of one picture, of each layer of a Keras model that multiplies.

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
    """The trained ones: not the running statistics, which are folded away."""
    return int(sum(math.prod(weight.shape) for weight in model.trainable_weights))
