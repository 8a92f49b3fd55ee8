"""The motion settings that the page shows as sliders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from edge.config.explain import explain
from edge.config.schema import MotionSettings


@dataclass(frozen=True, slots=True)
class Slider:
    """One key of `[motion]`.

    low, high: the ends of the slider, which cover the useful values; a typed value may lie outside
    them, within the range of the key. log: equal steps of the slider multiply the value.
    """

    key: str
    label: str
    unit: str
    low: float
    high: float
    log: bool
    default: float
    description: str


RANGES: Final = {  # label, unit, low, high, log
    "sensitivity": ("Sensitivity", "", 0.2, 5.0, True),
    "floor": ("Floor", "of 255", 2.0, 60.0, False),
    "noise_factor": ("Noise factor", "× noise", 0.0, 12.0, False),
    "min_area": ("Smallest blob", "of picture", 0.00005, 0.05, True),
    "learn_s": ("Learning time", "s", 0.5, 60.0, True),
    "absorb_s": ("Absorbing time", "s", 2.0, 600.0, True),
    "scene_change": ("Scene change", "of picture", 0.05, 1.0, False),
}


@cache
def sliders() -> tuple[Slider, ...]:
    """All sliders in the order of use, with the descriptions of `edge config explain`."""
    descriptions = {row.key: row.description for row in explain()}
    defaults = MotionSettings()
    return tuple(
        Slider(
            key, label, unit, low, high, log, getattr(defaults, key), descriptions[f"motion.{key}"]
        )
        for key, (label, unit, low, high, log) in RANGES.items()
    )
