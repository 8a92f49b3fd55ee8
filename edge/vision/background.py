"""Learns the background of a static camera: its brightness and its noise, pixel by pixel.

A recursive average with a recursive mean absolute deviation per pixel (the first-order form of Wren
et al., "Pfinder", 1997). It learns more slowly where an object is in front of it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import MotionSettings
from edge.runtime.times import NS_PER_S
from edge.vision.types import Luma

# Enough for the shortest sensible learn_s of 1 s, at a third of the cost of updating every frame.
UPDATES_PER_S = 5.0
# Set by hand; how little accuracy depends on them is in "Tuning constants" in docs/BENCHMARKS.md.
FIRST_NOISE = 2.0  # luma levels assumed before a measurement: a good sensor in daylight
MIN_GAIN_SHIFT = 1.5  # luma levels; the average follows a smaller shift of the mean
GAIN_GRID = 8  # every 8th pixel, both ways, determines the gain: 1,200 pixels of 320x240
_GRID = np.s_[::GAIN_GRID, ::GAIN_GRID]
# In the dark an average of zeros sinks to subnormal numbers, where an update takes ten times as
# long (docs/BENCHMARKS.md, "Idle"): the averages are kept above this, at every 64th update.
MIN_AVERAGE, BOUND_EVERY = 0.01, 64
NEVER_EXCEEDED = 255  # as a threshold of 8-bit differences
# The noise is learnt at this share of the rate of the brightness: also in "Tuning constants".
NOISE_RATE = 0.5
# Weights of noise and change where a place is absorbed. If the change repeats, the noise converges
# to half of it, and the default noise_factor of 4 makes the threshold twice the change.
KEPT_NOISE, ADDED_NOISE = 0.5, 0.25


class Background:
    """Averages of luma planes of one size, with 8-bit copies that frames are compared with.

    luma: (h, w) uint8, the learnt scene. threshold: (h, w) uint8, the difference that a pixel must
    exceed to count as changed. Both are views that change with each update.
    """

    def __init__(self, settings: MotionSettings, luma_shape: tuple[int, int]) -> None:
        """`luma_shape` is (height, width)."""
        self.luma: Luma = np.zeros(luma_shape, np.uint8)
        self.threshold: Luma = np.zeros(luma_shape, np.uint8)
        self._average = np.zeros(luma_shape, np.float32)
        self._noise = np.full(luma_shape, FIRST_NOISE, np.float32)
        self._scratch: Luma = np.zeros(luma_shape, np.uint8)
        self._mean = 0.0
        self._updates = 0
        self._updated_ns = 0
        self.apply(settings)

    def apply(self, settings: MotionSettings) -> None:
        """Uses new settings from the next frame on; the averages stay."""
        self._settings = settings
        self._noise_factor = settings.noise_factor / settings.sensitivity
        self._least = _least_threshold(settings, self.luma.shape)
        self._unmasked = self._least[_GRID] != NEVER_EXCEEDED
        if self.learnt:
            self._derive()

    @property
    def unmasked_share(self) -> float:
        """Share of the picture outside the masks; more than 0, so that it can divide."""
        return float(max(1, np.count_nonzero(self._unmasked)) / self._unmasked.size)

    @property
    def learnt(self) -> bool:
        """Whether there was a first frame."""
        return self._updates > 0

    def without_gain(self, luma: Luma, held: Luma, out: Luma) -> Luma:
        """The luma at the background's brightness: `luma` itself, or a corrected copy in `out`.

        All are (h, w) uint8. The gain that is removed is the median ratio of luma to background
        where no known object is, which may be large (held is 255 there), and outside the masks.
        """
        if abs(cv2.mean(luma)[0] - self._mean) < MIN_GAIN_SHIFT:
            return luma
        ratio = (luma[_GRID] + np.float32(1)) / (self._average[_GRID] + np.float32(1))
        free = ratio[(held[_GRID] == 0) & self._unmasked]
        ratios = free if free.size else ratio.ravel()
        ratios.partition(ratios.size // 2)  # np.median takes twice as long for these few
        cv2.convertScaleAbs(luma, out, 1 / float(ratios[ratios.size // 2]))
        return out

    def relearn(self, luma: Luma, timestamp_ns: int) -> npt.NDArray[np.float32] | None:
        """Takes a frame as the new background; the noise of the pixels is kept.

        Returns the averages before, (h, w), for `restore`; None after the first frame.
        """
        earlier = self._average.copy() if self.learnt else None
        np.copyto(self._average, luma)
        self._updates = 1
        self._updated_ns = timestamp_ns
        self._derive()
        return earlier

    def restore(self, place: tuple[slice, slice], earlier: npt.NDArray[np.float32]) -> None:
        """Takes back what `relearn` learnt at a place: an object stands there."""
        self._average[place] = earlier[place]
        self._derive()

    def update(
        self, level: Luma, difference: Luma, foreground: Luma, held: Luma, timestamp_ns: int
    ) -> None:
        """Updates the averages, if an update is due.

        Unchanged places are learnt fast, changed ones slowly, held ones not at all.
        level: the frame at the background's brightness. difference: from `self.luma` to it.
        foreground, held: 255 where a blob is, and where a known object is. All are (h, w) uint8.
        """
        if timestamp_ns - self._updated_ns < NS_PER_S / UPDATES_PER_S:
            return
        elapsed_s = (timestamp_ns - self._updated_ns) / NS_PER_S
        self._updated_ns = timestamp_ns
        self._updates += 1
        # A plain average at first, so that a noisy first frame soon has little weight.
        rate = max(_rate(elapsed_s, self._settings.learn_s), 1 / (self._updates + 1))
        cv2.bitwise_or(foreground, held, self._scratch)
        cv2.bitwise_not(self._scratch, self._scratch)
        cv2.accumulateWeighted(difference, self._noise, rate * NOISE_RATE, self._scratch)
        cv2.accumulateWeighted(level, self._average, rate, self._scratch)
        cv2.subtract(foreground, held, self._scratch)
        standing = _rate(elapsed_s, self._settings.absorb_s)
        cv2.accumulateWeighted(level, self._average, standing, self._scratch)
        if self._updates % BOUND_EVERY == 0:
            cv2.max(self._noise, MIN_AVERAGE, self._noise)  # type: ignore[call-overload]
            cv2.max(self._average, MIN_AVERAGE, self._average)  # type: ignore[call-overload]
        self._derive()

    def absorb(self, place: tuple[slice, slice], luma: Luma, held: Luma) -> None:
        """Learns a place at once, except where it is held; its change also counts as noise.

        place: rows and columns. luma, held: (h, w) uint8; held is 255 where a known object is.
        """
        free = held[place] == 0
        difference = cv2.absdiff(luma[place], self.luma[place])
        noise = self._noise[place]
        noise[free] = np.maximum(noise, KEPT_NOISE * noise + ADDED_NOISE * difference)[free]
        self._average[place][free] = luma[place][free]
        self._derive()

    def _derive(self) -> None:
        """Updates the 8-bit planes from the averages."""
        cv2.convertScaleAbs(self._average, self.luma)
        cv2.convertScaleAbs(self._noise, self.threshold, self._noise_factor)
        cv2.max(self.threshold, self._least, self.threshold)
        self._mean = cv2.mean(self.luma)[0]


def _rate(elapsed_s: float, time_constant_s: float) -> float:
    """Weight of a new sample, so that the average follows a step to 63 % in the time constant."""
    return 1 - math.exp(-elapsed_s / time_constant_s)


def _least_threshold(settings: MotionSettings, luma_shape: tuple[int, ...]) -> Luma:
    """(h, w) the lowest difference that counts as a change; none does inside the masks."""
    height, width = luma_shape
    floor = min(254, round(settings.floor / settings.sensitivity))
    least = np.full(luma_shape, floor, np.uint8)
    for polygon in settings.masks:
        corners = np.round(np.array(polygon) * [width, height]).astype(np.int32)
        cv2.fillPoly(least, [corners], (NEVER_EXCEEDED,))
    return least
