"""Checks that the camera still shows a scene: frozen, black, blocked and blurred pictures.

Examines one luma plane a second. A fault must last before it is reported, so that a passing
lorry or a moth on the lens is not reported.

Sharpness is the ratio of fine to coarse detail, a band-pass measure that is independent of light
and contrast (after the multi-scale focus measures in Pertuz et al., "Analysis of focus measure
operators for shape-from-focus", 2013). It is compared tile by tile with earlier pictures of this
camera: less detail in one tile means that an object left; in most tiles, that the lens is out of
focus, wet or in fog. A camera that is out of focus from the start is not detected.
"""

from __future__ import annotations

import enum

import cv2
import numpy as np
import numpy.typing as npt

from edge.runtime.times import NS_PER_S
from edge.vision.types import Luma

CHECK_EVERY_NS = NS_PER_S
GAP_NS = 5 * NS_PER_S  # after a longer gap the check starts again
TILES = (4, 3)  # across, down
# The levels and shares below are set by hand between good and bad pictures: real footage, its
# distortions and drawn scenes in tests/vision/test_picture_check.py.
FINE_SIGMA, COARSE_SIGMA = 1.2, 5.0  # pixels of the plane at half size
BLACK_LEVEL = 32  # 99 of 100 pixels are darker; black is 16 in limited range
BLACK_PERCENTILE = 99
FLAT_LEVELS = 4.0  # standard deviation of the picture's blocks; a wall in daylight has more
BLOCKS = (16, 12)  # across, down
BLURRED = 0.6  # share of the known sharpness, in the median tile
LEARN = 1 / 600  # weight of each good picture in the known sharpness: ten minutes
NOISE = (0.1, 0.5)  # luma levels of fine and coarse detail that even an empty sky has

Tiles = npt.NDArray[np.float32]


class PictureState(enum.StrEnum):
    """A fault of the picture; if there are several, the first in this order."""

    FROZEN = "frozen"
    BLACK = "black"
    BLOCKED = "blocked"
    BLURRED = "blurred"
    GOOD = "good"


SENTENCES = {
    PictureState.FROZEN: "the picture is frozen: every pixel has stayed the same for a while",
    PictureState.BLACK: "the picture is black: the lens is covered or the light is off",
    PictureState.BLOCKED: "the picture is blocked: it shows nothing but one even surface",
    PictureState.BLURRED: "the picture is blurred: the lens is out of focus, wet or in fog",
}


class PictureCheck:
    """Checks the pictures of one camera, in the order of time."""

    def __init__(self, *, bad_s: float, frozen_s: float) -> None:
        """bad_s, frozen_s: how long a fault, or identical pictures, must last; 0 = never."""
        self._bad_ns = round(bad_s * NS_PER_S)
        self._frozen_ns = round(frozen_s * NS_PER_S)
        self._checked_ns: int | None = None
        self._changed_ns = self._good_ns = 0
        self._before: Luma | None = None
        self._sharpness: Tiles | None = None
        self._learnt = 0
        self.state = PictureState.GOOD

    def __call__(self, luma: Luma, timestamp_ns: int) -> PictureState:
        """The present state. luma: (h, w) uint8, copied if it is kept."""
        elapsed_ns = None if self._checked_ns is None else timestamp_ns - self._checked_ns
        if elapsed_ns is not None and elapsed_ns < CHECK_EVERY_NS:
            return self.state
        if elapsed_ns is None or elapsed_ns > GAP_NS:
            self._before = None
            self._good_ns = timestamp_ns
        self._checked_ns = timestamp_ns
        if self._before is None or not np.array_equal(luma, self._before):
            self._before = luma.copy()
            self._changed_ns = timestamp_ns
        now = self._judge(luma)
        if now is PictureState.GOOD:
            self._good_ns = timestamp_ns
        self.state = self._lasting(now, timestamp_ns)
        return self.state

    def _lasting(self, now: PictureState, timestamp_ns: int) -> PictureState:
        if self._frozen_ns and timestamp_ns - self._changed_ns >= self._frozen_ns:
            return PictureState.FROZEN
        if not self._bad_ns or timestamp_ns - self._good_ns < self._bad_ns:
            return PictureState.GOOD
        return now

    def _judge(self, luma: Luma) -> PictureState:
        small = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        if np.percentile(small, BLACK_PERCENTILE) < BLACK_LEVEL:
            return PictureState.BLACK
        if cv2.resize(small, BLOCKS, interpolation=cv2.INTER_AREA).std() < FLAT_LEVELS:
            return PictureState.BLOCKED
        sharpness = _sharpness(np.asarray(small, np.uint8))
        if self._sharpness is None:
            self._sharpness = sharpness
        if np.median(sharpness / self._sharpness) < BLURRED:
            return PictureState.BLURRED
        self._learnt += 1
        rate = max(LEARN, 1 / (self._learnt + 1))
        self._sharpness += (sharpness - self._sharpness) * np.float32(rate)
        return PictureState.GOOD


def _sharpness(small: Luma) -> Tiles:
    """(3, 4) float32, the ratio of fine to coarse detail in each tile."""
    picture = small.astype(np.float32)
    fine = cv2.GaussianBlur(picture, (0, 0), FINE_SIGMA)
    coarse = cv2.GaussianBlur(fine, (0, 0), COARSE_SIGMA)
    details = [
        cv2.resize(cv2.absdiff(a, b), TILES, interpolation=cv2.INTER_AREA)
        for a, b in ((picture, fine), (fine, coarse))
    ]
    return np.asarray((details[0] + NOISE[0]) / (details[1] + NOISE[1]), np.float32)
