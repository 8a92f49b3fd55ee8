"""Notices when another object takes a track over, by the colours of its looks.

Colour histograms are compared by the distance of Hellinger, as in Comaniciu et al., "Kernel-Based
Object Tracking", 2003. `edge.vision.colours` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

# In 2,867 looks on PETS and TUD-Campus two in a row were above 0.6 and agreed 19 times, 14 of them
# on another person. See "Gain of each step" in docs/BENCHMARKS.md.
OTHER_OBJECT = 0.6  # distance from 0 to 1 above which a look shows another object
KNOWN_OBJECT = 0.5  # distance below which a look shows an object that another track followed
BLEND = 0.3  # weight of a new look in the colours of an object

# (n,) float32 of length 1: square roots of the shares of n colours; all zero where unknown.
Histogram: TypeAlias = npt.NDArray[np.float32]
UNKNOWN: Histogram = np.zeros(1, np.float32)


def distance(a: Histogram, b: Histogram) -> float:
    """0 for the same colours, 1 if they have none in common."""
    return float(np.sqrt(max(0.0, 1 - float(a @ b))))


class Owner:
    """The object that a track follows.

    colours: blended from its looks. takeovers: how often a new object took its place.
    """

    def __init__(self, histogram: Histogram) -> None:
        self.takeovers = 0
        self.colours = histogram
        self._other: Histogram | None = None

    def update(self, histogram: Histogram, known: Sequence[Histogram] = ()) -> None:
        """Takes the next look into account. One look is not enough: it may be hidden in part.

        known: colours of the objects of other tracks. If two tracks exchange their objects, neither
        shows a new one.
        """
        if not histogram.any():
            return
        if not self.colours.any():
            self.colours = histogram
            return
        away = distance(self.colours, histogram)
        if away <= OTHER_OBJECT:
            shares = (1 - BLEND) * self.colours**2 + BLEND * histogram**2
            self.colours, self._other = np.sqrt(shares), None
        elif self._other is not None and distance(self._other, histogram) < away:
            is_new = all(distance(one, histogram) > KNOWN_OBJECT for one in known if one.any())
            self.takeovers += is_new
            self.colours, self._other = histogram, None
        else:
            self._other = histogram
