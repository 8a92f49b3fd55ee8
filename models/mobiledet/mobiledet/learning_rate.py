"""The learning rate by step: a linear rise, then a fall to 0 as a cosine."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mobiledet.tensorflow import tf

WARM_UP = 100  # steps


def rates(peak: float, steps: int) -> npt.NDArray[np.float32]:
    """(steps,): the rate of each step. It rises over WARM_UP steps, or a tenth if that is less."""
    warm_up = min(WARM_UP, max(1, steps // 10))
    step = np.arange(steps)
    fallen = np.clip((step - warm_up) / max(1, steps - warm_up), 0, 1)
    cosine = (1 + np.cos(np.pi * fallen)) / 2
    return (peak * np.minimum(step / warm_up, cosine)).astype(np.float32)


class Thaw(NamedTuple):
    """The step from which a training changes all layers, and the highest rate from then on."""

    step: int
    peak: float


def rates_with_thaw(peak: float, steps: int, thaw: Thaw) -> npt.NDArray[np.float32]:
    """(steps,): the rates before and after a thaw; each part rises and falls like `rates`."""
    parts = [rates(peak, thaw.step), rates(thaw.peak, steps - thaw.step)]
    return np.concatenate(parts)


@cache
def schedule() -> Any:
    """The class of schedules that look the rate up.

    Keras asks for the rate once for each variable, and its own CosineDecay then adds a branch to
    the graph: with 120 variables, that was nearly half of the time until the first step.
    """
    base = tf().keras.optimizers.schedules.LearningRateSchedule

    class Listed(base):  # type: ignore[misc, valid-type]
        def __init__(self, values: npt.NDArray[np.float32]) -> None:
            super().__init__()
            self._values = tf().constant(values)

        def __call__(self, step: Any) -> Any:
            last = self._values.shape[0] - 1
            return tf().gather(self._values, tf().minimum(tf().cast(step, tf().int32), last))

    return Listed
