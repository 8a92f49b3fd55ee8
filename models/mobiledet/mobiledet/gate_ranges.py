"""Ranges of the tensors that squeeze-excite multiplies by a share for each channel.

A channel with large values often has a share near 0. A range that contains these values leaves few
of the 256 levels to the channels that count. So a range is cut where the error after the
multiplication is least.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.tensorflow import tf

FACTORS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125)  # of the highest value
LEVELS = 255
IMAGES = 8  # that the error is measured on; they have millions of values
LINEAR_FROM = 3.0  # hard-swish changes no value above this

Floats = npt.NDArray[np.float32]


def cut_before_gates(model: Any, ranges: dict[str, Floats], images: Floats) -> None:
    """Cuts the upper ends of `ranges`, by layer's name, where that makes the error less."""
    gates = [name.removesuffix(".share") for name in ranges if name.endswith(".share")]
    if not gates:
        return
    bases = [f"{gate.removesuffix('.excite')}.depthwise" for gate in gates]
    inputs = [next(n for n in _outputs(base) if n in ranges) for base in bases]
    layers = [*inputs, *(f"{gate}.share" for gate in gates)]
    measure = tf().keras.Model(model.input, [model.get_layer(name).output for name in layers])
    measured = [np.asarray(x) for x in measure(images[:IMAGES], training=False)]
    for base, name, values, shares in zip(
        bases, inputs, measured, measured[len(inputs) :], strict=False
    ):
        low, high = (float(end) for end in ranges[name])
        _cut(ranges, base, name, high * best_factor(values, shares, low, high))


def best_factor(values: Floats, shares: Floats, low: float, high: float) -> float:
    """The factor of `high` with the least squared error of the rounded product.

    values: (b, h, w, c) from low to high. shares: (b, 1, 1, c).
    """
    errors = []
    for factor in FACTORS:
        step = (high * factor - low) / LEVELS
        rounded = np.clip(np.round((values - low) / step), 0, LEVELS) * step + low
        errors.append(float(np.square((rounded - values) * shares).sum()))
    return FACTORS[int(np.argmin(errors))]


def _outputs(base: str) -> tuple[str, str]:
    return f"{base}.hard_swish", f"{base}.relu"


def _cut(ranges: dict[str, Floats], base: str, name: str, high: float) -> None:
    """Gives a tensor a lower end, and those that hard-swish makes it of."""
    ends = {name: high}
    if name.endswith(".hard_swish"):
        ends |= {f"{base}.product": high * 6, base: max(high, LINEAR_FROM)}
    for each, end in ends.items():
        ranges[each] = ranges[each].clip(max=np.float32(end))
