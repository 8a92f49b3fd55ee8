"""Frame differencing: a running background on the small luma plane, and blobs of change.

The idea of temporal detection: what did not change needs no detector. Per still frame the work is
one mean, one absolute difference, one comparison and one count on a plane of about 320 px width;
the background itself is brought up to date only a few times a second.

Background: a recursive average with a recursive mean absolute deviation per pixel (the first-order
form of Wren et al., "Pfinder", 1997), slower where something stands in front of it.
Light: the median ratio of picture to background is taken out as gain before the difference.
Ghosts: a blob that differs from the background but not from the last frames is not active.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import MotionSettings
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Boxes
from edge.vision.types import Luma

UPDATES_PER_S = 5.0  # how often background and noise are brought up to date
REFERENCE_AGE_S = 0.12  # activity is change since a frame at least this old
FIRST_NOISE = 2.0  # luma levels assumed before any were measured
GAIN_CHECK_LEVELS = 1.5  # a smaller shift of the mean is left to the background
GAIN_GRID = 8  # every n-th pixel, both ways, decides on the gain
# In the dark an average of zeros sinks to where floating point is ten times as slow (subnormals).
LEAST_LEVEL, BOUND_EVERY = 0.01, 64  # of the averages, and how many updates apart it is seen to
MAX_BLOBS = 32  # more is rain or leaves: the largest are kept

# Planes this small are done before a pool of threads has shared them out, and OpenCV's pool spins
# while it waits for more: it doubled the CPU time of a frame.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class Motion:
    """What changed in one frame.

    blobs_xyxy: (n, 4) float32, pixels of the main picture, largest first.
    activity: (n,) float32 in 0..1, the share of the blob that also changed within the last frames:
        about 0 for a ghost or an object that stands.
    changed: share of the picture that differs from the background.
    scene_change: light was switched or the camera knocked; the background was learnt anew from this
        frame, and there are no blobs. True for the first frame.
    """

    blobs_xyxy: Boxes
    activity: npt.NDArray[np.float32]
    changed: float
    scene_change: bool


class MotionDetector:
    """Feeds on luma planes of one fixed size, in order of time."""

    def __init__(
        self,
        settings: MotionSettings,
        luma_shape: tuple[int, int],
        main_size: tuple[int, int],
    ) -> None:
        """`luma_shape` is (height, width), `main_size` (width, height)."""
        height, width = luma_shape
        self._settings = settings
        self._to_main = np.array([main_size[0] / width, main_size[1] / height] * 2, np.float32)
        self._ignored = _ignored_mask(settings, height, width)
        self._min_pixels = max(4, round(settings.min_area * height * width))
        self._floor = float(min(254, round(settings.floor / settings.sensitivity)))
        self._noise_factor = settings.noise_factor / settings.sensitivity
        self._background_f = np.zeros(luma_shape, np.float32)
        self._noise_f = np.full(luma_shape, FIRST_NOISE, np.float32)
        self._background, self._threshold = self._planes(2, luma_shape)
        self._level, self._difference, self._mask = self._planes(3, luma_shape)
        self._reference, self._scratch, self._foreground = self._planes(3, luma_shape)
        self._held = np.zeros(luma_shape, np.uint8)
        self._holds = False
        self._open = cv2.getStructuringElement(cv2.MORPH_RECT, (2, 2))
        self._close = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 5))  # people break at the waist
        self._background_mean = 0.0
        self._updates = 0
        self._updated_ns = self._reference_ns = 0

    @staticmethod
    def _planes(count: int, shape: tuple[int, int]) -> list[Luma]:
        return [np.zeros(shape, np.uint8) for _ in range(count)]

    def __call__(self, luma: Luma, timestamp_ns: int) -> Motion:
        """`luma`: (h, w) uint8; nothing keeps a reference to it."""
        if self._updates == 0:
            return self._relearn(luma, timestamp_ns)
        level = self._without_gain(luma)
        cv2.absdiff(level, self._background, self._difference)
        cv2.compare(self._difference, self._threshold, cv2.CMP_GT, self._mask)
        pixels = cv2.countNonZero(self._mask)
        changed = pixels / self._mask.size
        if changed > self._settings.scene_change:
            return self._relearn(luma, timestamp_ns)
        if pixels < self._min_pixels:
            motion = _NOTHING
            self._foreground[:] = 0
        else:
            motion = self._blobs(level, changed)
        if timestamp_ns - self._updated_ns >= NS_PER_S / UPDATES_PER_S:
            self._update(level, timestamp_ns)
        if timestamp_ns - self._reference_ns >= REFERENCE_AGE_S * NS_PER_S:
            np.copyto(self._reference, level)
            self._reference_ns = timestamp_ns
        return motion

    @property
    def mask(self) -> Luma:
        """(h, w) uint8, 255 in the blobs of the last frame: a view, for drawing."""
        return self._foreground

    @property
    def background(self) -> Luma:
        """(h, w) uint8, the scene as it was learnt: a view."""
        return self._background

    def hold(self, boxes_xyxy: Boxes) -> None:
        """Known objects, in main pixels: they are not absorbed, however long they stand.

        Nor is the ground within the boxes learnt: what of an object looks like the ground would
        become ground, and its blob shrink from there.
        """
        if len(boxes_xyxy) == 0 and not self._holds:
            return
        self._holds = len(boxes_xyxy) > 0
        self._held[:] = 0
        for x0, y0, x1, y1 in self._luma_boxes(boxes_xyxy):
            self._held[y0:y1, x0:x1] = 255

    def absorb(self, box_xyxy: tuple[float, float, float, float], luma: Luma) -> None:
        """A place, in main pixels, where the detector found nothing: learn it at once.

        What moves there (leaves, water, a shadow) also counts as noise, so that it must change
        more to be looked at again.
        """
        ((x0, y0, x1, y1),) = self._luma_boxes(np.array([box_xyxy], np.float32))
        place = np.s_[y0:y1, x0:x1]
        free = self._held[place] == 0
        difference = cv2.absdiff(luma[place], self._background[place])
        noise = self._noise_f[place]
        noise[free] = np.maximum(noise, 0.5 * noise + 0.25 * difference)[free]
        self._background_f[place][free] = luma[place][free]
        self._derive()

    def _without_gain(self, luma: Luma) -> Luma:
        """The luma as it would be in the background's light."""
        if abs(cv2.mean(luma)[0] - self._background_mean) < GAIN_CHECK_LEVELS:
            return luma
        grid = np.s_[::GAIN_GRID, ::GAIN_GRID]
        ratio = (luma[grid] + np.float32(1)) / (self._background_f[grid] + np.float32(1))
        gain = float(np.median(ratio))
        cv2.convertScaleAbs(luma, self._level, 1 / gain)
        return self._level

    def _blobs(self, level: Luma, changed: float) -> Motion:
        cv2.morphologyEx(self._mask, cv2.MORPH_OPEN, self._open, self._scratch)
        cv2.morphologyEx(self._scratch, cv2.MORPH_CLOSE, self._close, self._foreground)
        stats = self._components()
        if len(stats) == 0:
            return Motion(_NOTHING.blobs_xyxy, _NOTHING.activity, changed, False)
        cv2.absdiff(level, self._reference, self._scratch)
        cv2.compare(self._scratch, self._threshold, cv2.CMP_GT, self._scratch)
        activity = np.empty(len(stats), np.float32)
        for row, (x, y, w, h, pixels) in enumerate(stats):
            active = cv2.countNonZero(self._scratch[y : y + h, x : x + w])
            activity[row] = min(1.0, active / pixels)
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in stats], np.float32)
        return Motion(boxes * self._to_main, activity, changed, False)

    def _components(self) -> list[tuple[int, int, int, int, float]]:
        """x, y, w, h and pixels of what is connected, the largest first; holes count as filled.

        Outlines take a quarter of the time that labels of all pixels do.
        """
        outlines, _ = cv2.findContours(self._foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        found = []
        for outline in outlines:
            pixels = cv2.contourArea(outline) + len(outline) / 2 + 1  # Pick, 1899
            if pixels >= self._min_pixels:
                x, y, w, h = cv2.boundingRect(outline)
                found.append((x, y, w, h, pixels))
        return sorted(found, key=lambda blob: -blob[4])[:MAX_BLOBS]

    def _update(self, level: Luma, timestamp_ns: int) -> None:
        """One step of the averages: fast on free ground, slow under a change, none where held."""
        elapsed_s = (timestamp_ns - self._updated_ns) / NS_PER_S
        self._updated_ns = timestamp_ns
        self._updates += 1
        # A plain average at first, so that a noisy first frame doesn't stay for long.
        rate = max(_rate(elapsed_s, self._settings.learn_s), 1 / (self._updates + 1))
        cv2.bitwise_or(self._foreground, self._held, self._scratch)
        cv2.bitwise_not(self._scratch, self._scratch)
        cv2.accumulateWeighted(self._difference, self._noise_f, rate / 2, self._scratch)
        cv2.accumulateWeighted(level, self._background_f, rate, self._scratch)
        cv2.subtract(self._foreground, self._held, self._scratch)
        standing = _rate(elapsed_s, self._settings.absorb_s)
        cv2.accumulateWeighted(level, self._background_f, standing, self._scratch)
        if self._updates % BOUND_EVERY == 0:
            cv2.max(self._noise_f, LEAST_LEVEL, self._noise_f)  # type: ignore[call-overload]
            cv2.max(self._background_f, LEAST_LEVEL, self._background_f)  # type: ignore[call-overload]
        self._derive()

    def _relearn(self, luma: Luma, timestamp_ns: int) -> Motion:
        np.copyto(self._background_f, luma)
        np.copyto(self._reference, luma)
        self._foreground[:] = 0
        self._updates = 1
        self._updated_ns = self._reference_ns = timestamp_ns
        self._derive()
        return Motion(_NOTHING.blobs_xyxy, _NOTHING.activity, 1.0, True)

    def _derive(self) -> None:
        """The 8-bit planes that the frames are compared with."""
        cv2.convertScaleAbs(self._background_f, self._background)
        cv2.convertScaleAbs(self._noise_f, self._threshold, self._noise_factor)
        cv2.max(self._threshold, self._floor, self._threshold)  # type: ignore[call-overload]
        self._threshold[self._ignored] = 255  # no difference exceeds it
        self._background_mean = cv2.mean(self._background)[0]

    def _luma_boxes(self, boxes_xyxy: Boxes) -> npt.NDArray[np.intp]:
        """Main pixels to whole pixels of the plane, cut at its edges."""
        height, width = self._mask.shape
        boxes = np.round(boxes_xyxy / self._to_main).astype(np.intp)
        return np.asarray(np.clip(boxes, 0, [width, height, width, height]))


_NOTHING = Motion(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.0, False)


def _rate(elapsed_s: float, time_constant_s: float) -> float:
    """Weight of a new sample so that a step is followed to 63 % in the time constant."""
    return 1 - math.exp(-elapsed_s / time_constant_s)


def _ignored_mask(settings: MotionSettings, height: int, width: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((height, width), np.uint8)
    for polygon in settings.masks:
        corners = np.round(np.array(polygon) * [width, height]).astype(np.int32)
        cv2.fillPoly(mask, [corners], (255,))
    return mask > 0
