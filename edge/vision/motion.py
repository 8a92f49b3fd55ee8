"""Detects motion on the small luma plane: blobs of change against a learnt background.

A place that did not change needs no invocation of the model. A still frame costs one
mean, one absolute difference, one comparison and one count on a plane about 320 px wide.

Light: the median ratio of picture to background is removed as gain before the difference.
Ghosts: a blob that differs from the background but not from the last frames is not active.
Lights and shadows: a change without edges is soft; an object has an outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import MotionSettings
from edge.runtime.times import NS_PER_S
from edge.vision.background import Background
from edge.vision.geometry import Boxes
from edge.vision.types import Luma

# Set by hand; how little accuracy depends on them is in "Tuning constants" in docs/BENCHMARKS.md.
REFERENCE_AGE_S = 0.12  # activity is change since a frame at least this old: a step of a walker
MIN_BLOB_PX = 4  # luma pixels, for any min_area: smaller blobs are noise
MAX_BLOBS = 32  # more blobs are rain or leaves; only the largest are kept
OPEN_PX, CLOSE_PX = (2, 2), (3, 5)  # width, height; a person's blob breaks at the waist
SOFT_PX, SOFT_AROUND_PX = (7, 7), 3  # what is finer than the first is an edge; margin of a blob
# Share of edges in a change. Drawn light has .03 to .14, on a background of PETS .05 to .15; of the
# blobs of PETS one in a hundred has less than .30, of TUD-Campus less than .26.
SOFT = 0.15

# Planes this small are processed faster than a pool of threads can share them, and OpenCV's pool
# spins while it waits for work: it doubled the CPU time of a frame.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class Motion:
    """The changes in one frame.

    blobs_xyxy: (n, 4) float32, pixels of the main picture, largest first.
    activity: (n,) float32 in 0..1, the share of the blob that also changed within the last frames:
        about 0 for a ghost or an object that stands still.
    soft: (n,) bool, whether the change has no edges, as light and shadow have none; False where
        the middle of the blob is in a known object.
    mask: (h, w) uint8 of the luma plane, 255 in the blobs: a view that the next frame overwrites.
    changed: share of the picture, outside the masks, that differs from the background.
    scene_change: light was switched or the camera was moved; the background was relearnt from this
        frame, and there are no blobs. True for the first frame.
    """

    blobs_xyxy: Boxes
    activity: npt.NDArray[np.float32]
    soft: npt.NDArray[np.bool_]
    mask: Luma
    changed: float = 0.0
    scene_change: bool = False


class MotionDetector:
    """Compares luma planes of one fixed size, given in the order of time."""

    def __init__(
        self,
        settings: MotionSettings,
        luma_shape: tuple[int, int],
        main_size: tuple[int, int],
    ) -> None:
        """`luma_shape` is (height, width), `main_size` (width, height)."""
        height, width = luma_shape
        self._max_changed = settings.scene_change
        self._to_main = np.array([main_size[0] / width, main_size[1] / height] * 2, np.float32)
        self._background = Background(settings, luma_shape)
        self._blobs = _BlobFinder(settings, luma_shape)
        self._level, self._difference, self._changed = _planes(3, luma_shape)
        self._reference, self._held = _planes(2, luma_shape)
        self._earlier: npt.NDArray[np.float32] | None = None  # background before the last scene
        self._reference_ns = 0
        self._holds = False

    def apply(self, settings: MotionSettings) -> None:
        """Uses new settings from the next frame on; the background stays."""
        self._max_changed = settings.scene_change
        self._background.apply(settings)
        self._blobs.apply(settings)

    def __call__(self, luma: Luma, timestamp_ns: int) -> Motion:
        """The motion in the next frame. luma: (h, w) uint8, to which no reference is kept."""
        background = self._background
        if not background.learnt:
            return self._relearn(luma, timestamp_ns)
        level = background.without_gain(luma, self._held, self._level)
        cv2.absdiff(level, background.luma, self._difference)
        cv2.compare(self._difference, background.threshold, cv2.CMP_GT, self._changed)
        pixels = cv2.countNonZero(self._changed)
        changed = min(1.0, pixels / (self._changed.size * background.unmasked_share))
        if changed > self._max_changed and self._is_new_scene():
            return self._relearn(luma, timestamp_ns)
        if pixels < self._blobs.min_pixels:
            self._blobs.mask[:] = 0
            motion = self._no_motion(0.0)
        else:
            motion = self._find_blobs(level, changed)
        background.update(level, self._difference, self._blobs.mask, self._held, timestamp_ns)
        if timestamp_ns - self._reference_ns >= REFERENCE_AGE_S * NS_PER_S:
            np.copyto(self._reference, level)
            self._reference_ns = timestamp_ns
        return motion

    @property
    def mask(self) -> Luma:
        """(h, w) uint8, as `Motion.mask` of the last frame: a view."""
        return self._blobs.mask

    @property
    def background(self) -> Luma:
        """(h, w) uint8, the learnt scene: a view."""
        return self._background.luma

    def hold(self, boxes_xyxy: Boxes) -> None:
        """Keeps known objects, in main pixels, from being absorbed, however long they stand still.

        Nothing inside the boxes is learnt: otherwise the part of an object that looks like the
        background would be absorbed, and the blob would shrink from there.
        """
        if len(boxes_xyxy) == 0 and not self._holds:
            return
        self._holds = len(boxes_xyxy) > 0
        self._held[:] = 0
        for x0, y0, x1, y1 in self._luma_boxes(boxes_xyxy):
            self._held[y0:y1, x0:x1] = 255

    def keep_under(self, boxes_xyxy: Boxes) -> None:
        """Takes back a relearnt scene under objects, in main pixels, that the detector found.

        Somebody near the camera can change most of the picture, and must not become background.
        """
        if self._earlier is not None:
            for x0, y0, x1, y1 in self._luma_boxes(boxes_xyxy):
                self._background.restore(np.s_[y0:y1, x0:x1], self._earlier)

    def absorb(self, box_xyxy: tuple[float, float, float, float], luma: Luma) -> None:
        """Learns a place, in main pixels, at once: the detector detected no object there.

        Motion there (leaves, water, a shadow) also counts as noise, so that the place must change
        more to become a blob again.
        """
        ((x0, y0, x1, y1),) = self._luma_boxes(np.array([box_xyxy], np.float32))
        self._background.absorb(np.s_[y0:y1, x0:x1], luma, self._held)

    def _is_new_scene(self) -> bool:
        """Whether most of the picture changed also where no known object is."""
        free = self._held == 0
        outside = int(np.count_nonzero(self._changed[free]))
        unmasked = int(np.count_nonzero(free)) * self._background.unmasked_share
        return outside > self._max_changed * unmasked

    def _find_blobs(self, level: Luma, changed: float) -> Motion:
        stats = self._blobs(self._changed)
        if not stats:
            return self._no_motion(changed)
        # The plane of changed pixels is reused for the changes since the reference.
        active = self._changed
        cv2.absdiff(level, self._reference, active)
        cv2.compare(active, self._background.threshold, cv2.CMP_GT, active)
        activity, soft = np.empty(len(stats), np.float32), np.zeros(len(stats), np.bool_)
        for row, (x, y, w, h, pixels) in enumerate(stats):
            activity[row] = min(1.0, cv2.countNonZero(active[y : y + h, x : x + w]) / pixels)
            soft[row] = not self._held[y + h // 2, x + w // 2] and self._is_soft(x, y, w, h)
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in stats], np.float32)
        return Motion(boxes * self._to_main, activity, soft, self._blobs.mask, changed)

    def _is_soft(self, x: int, y: int, w: int, h: int) -> bool:
        """Whether the difference has hardly any detail that is finer than SOFT_PX."""
        left, top = max(0, x - SOFT_AROUND_PX), max(0, y - SOFT_AROUND_PX)
        part = self._difference[top : y + h + SOFT_AROUND_PX, left : x + w + SOFT_AROUND_PX]
        edges = cv2.norm(part, cv2.blur(part, SOFT_PX))
        return edges < SOFT * cv2.norm(part)

    def _no_motion(self, changed: float, *, scene_change: bool = False) -> Motion:
        mask = self._blobs.mask
        return Motion(_NO_BLOBS, _NO_ACTIVITY, _NONE_SOFT, mask, changed, scene_change)

    def _relearn(self, luma: Luma, timestamp_ns: int) -> Motion:
        self._earlier = self._background.relearn(luma, timestamp_ns)
        np.copyto(self._reference, luma)
        self._reference_ns = timestamp_ns
        self._blobs.mask[:] = 0
        return self._no_motion(1.0, scene_change=True)

    def _luma_boxes(self, boxes_xyxy: Boxes) -> npt.NDArray[np.intp]:
        """Main pixels to whole pixels of the plane, cut at its edges."""
        height, width = self._changed.shape
        boxes = np.round(boxes_xyxy / self._to_main).astype(np.intp)
        return np.asarray(np.clip(boxes, 0, [width, height, width, height]))


class _BlobFinder:
    """Joins changed pixels to blobs. mask: (h, w) uint8, 255 in the blobs of the last call."""

    def __init__(self, settings: MotionSettings, luma_shape: tuple[int, int]) -> None:
        self.mask, self._scratch = _planes(2, luma_shape)
        self.apply(settings)
        self._open = cv2.getStructuringElement(cv2.MORPH_RECT, OPEN_PX)
        self._close = cv2.getStructuringElement(cv2.MORPH_RECT, CLOSE_PX)

    def apply(self, settings: MotionSettings) -> None:
        self.min_pixels = max(MIN_BLOB_PX, round(settings.min_area * self.mask.size))

    def __call__(self, changed: Luma) -> list[tuple[int, int, int, int, float]]:
        """x, y, w, h and pixels of each blob, the largest first; holes count as filled.

        Outlines take a quarter of the time of labels for all pixels.
        """
        cv2.morphologyEx(changed, cv2.MORPH_OPEN, self._open, self._scratch)
        cv2.morphologyEx(self._scratch, cv2.MORPH_CLOSE, self._close, self.mask)
        outlines, _ = cv2.findContours(self.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        blobs = []
        for outline in outlines:
            pixels = cv2.contourArea(outline) + len(outline) / 2 + 1  # Pick's theorem, 1899
            if pixels >= self.min_pixels:
                x, y, w, h = cv2.boundingRect(outline)
                blobs.append((x, y, w, h, pixels))
        return sorted(blobs, key=lambda blob: -blob[4])[:MAX_BLOBS]


_NO_BLOBS, _NO_ACTIVITY = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
_NONE_SOFT = np.zeros(0, np.bool_)


def _planes(count: int, shape: tuple[int, int]) -> list[Luma]:
    return [np.zeros(shape, np.uint8) for _ in range(count)]
