"""The composition of the stages: a plain function of a frame, without thread, socket or clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.config.schema import Settings
from edge.vision.flow import Flow
from edge.vision.geometry import Boxes, covered
from edge.vision.motion import Motion, MotionDetector
from edge.vision.regions import Layout, Packer, combine, merge, unpack
from edge.vision.scheduler import Reason, Scheduler, Subject
from edge.vision.tracker import Tracker
from edge.vision.triggers import TriggerEvent, Triggers
from edge.vision.types import Detections, Frame, Track

GHOST_ACTIVITY = 0.1  # an empty place that moves less than this is absorbed at once
FILL_URGENCY = 0.5  # a subject this near to being due may fill a free cell
_NOTHING_FOUND, _NO_IDS = Detections.empty(), np.zeros(0, np.int64)


class DetectorLike(Protocol):
    """What the pipeline needs of a detector."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def input_size(self) -> tuple[int, int]: ...

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """(h, w, 3) RGB uint8 -> boxes in canvas pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Analysis:
    """Facts about one frame.

    layouts: one for each invocation: what was on the canvas.
    detections: what the looks at this frame found, from the tracker's weak score up, main pixels.
    track_ids: (n,) the track of each detection, 0 where there is none.
    tracks: the open tracks. ended: those that ended with this frame.
    """

    frame: Frame
    motion: Motion
    layouts: tuple[Layout, ...]
    detections: Detections
    track_ids: npt.NDArray[np.int64]
    tracks: tuple[Track, ...]
    ended: tuple[Track, ...]
    triggers: tuple[TriggerEvent, ...]


@dataclass(slots=True)
class _Looks:
    """What the invocations of one frame have brought together, crop by crop."""

    layouts: list[Layout] = field(default_factory=list)
    parts: list[Detections] = field(default_factory=list)
    motion: list[Subject] = field(default_factory=list)

    def crops_xyxy(self) -> Boxes:
        crops = [cell.crop_xyxy for layout in self.layouts for cell in layout.cells]
        return np.array(crops, np.float32).reshape(-1, 4)


class Pipeline:
    """All stages of one camera, in order. Not thread-safe: one thread calls it, frame by frame."""

    def __init__(
        self,
        settings: Settings,
        detector: DetectorLike,
        luma_shape: tuple[int, int],
        main_size: tuple[int, int],
    ) -> None:
        """`luma_shape` is (height, width), `main_size` (width, height), of every frame to come."""
        self._settings = settings
        self._main_size = main_size
        self._detector = detector
        self._weak_score = min(settings.tracker.weak_score, settings.model.min_score)
        self.motion = MotionDetector(settings.motion, luma_shape, main_size)
        self.flow = Flow(luma_shape, main_size)
        self.packer = Packer(settings.regions, detector.input_size, main_size)
        self.scheduler = Scheduler(settings.scheduler)
        self.tracker = Tracker(
            settings.tracker, detector.labels, settings.model.min_score, main_size
        )
        self.triggers = Triggers(settings.triggers, settings.zones, main_size)
        self.last_look: tuple[Layout, int] | None = None  # on the packer's canvas, of which time

    def __call__(self, frame: Frame) -> Analysis:
        now_ns = frame.timestamp_ns
        motion = self.motion(frame.luma, now_ns)
        shifts = self.flow(frame.luma, self.tracker.boxes_xyxy)
        self.tracker.predict(now_ns, shifts)
        self.scheduler.refill(now_ns)
        tracks = self.tracker.tracks()
        looks = self._look(frame, motion, tracks)
        found, track_ids = _NOTHING_FOUND, _NO_IDS
        if looks.layouts:
            found = combine(looks.parts, self._settings.model.max_iou)
            track_ids = self.tracker.update(found, looks.crops_xyxy(), frame.index)
            tracks = self.tracker.tracks()
            self._learn_from_motion(looks.motion, found, frame)
        self.motion.hold(self.tracker.boxes_xyxy)
        if tracks:
            self.flow.keep(frame.luma, self.motion.mask)
        return Analysis(
            frame,
            motion,
            tuple(looks.layouts),
            found,
            track_ids,
            tracks,
            self.tracker.take_ended(),
            self.triggers(tracks, now_ns, frame.wall_ns) if looks.layouts else (),
        )

    def _look(self, frame: Frame, motion: Motion, tracks: Sequence[Track]) -> _Looks:
        """Spends what the budget allows on this frame."""
        looks = _Looks()
        if self.scheduler.whole_is_due(frame.timestamp_ns, motion.scene_change):
            self._invoke(frame, self.packer.whole(), looks)
        subjects = self._subjects(motion, tracks, frame.timestamp_ns)
        while subjects and subjects[0].due and self.scheduler.affords():
            layout, seen = self.packer.next(_boxes_of(subjects))
            self._invoke(frame, layout, looks)
            looks.motion += [
                s
                for s, shown in zip(subjects, seen, strict=True)
                if shown and s.reason is Reason.MOTION
            ]
            subjects = [s for s, shown in zip(subjects, seen, strict=True) if not shown]
        return looks

    def _subjects(self, motion: Motion, tracks: Sequence[Track], now_ns: int) -> list[Subject]:
        if len(motion.blobs_xyxy) == 0 and not tracks:
            return []
        blobs, owner = merge(motion.blobs_xyxy, self._settings.regions.merge_gap)
        activity = np.zeros(len(blobs), np.float32)
        np.maximum.at(activity, owner, motion.activity)
        subjects = self.scheduler.subjects(blobs, activity, tracks, now_ns)
        return [subject for subject in subjects if subject.urgency >= FILL_URGENCY]

    def _invoke(self, frame: Frame, layout: Layout, looks: _Looks) -> None:
        self.scheduler.spend()
        canvas = self.packer.fill(layout, frame.main)
        found = self._detector.detect(canvas, self._weak_score)
        looks.layouts.append(layout)
        self.last_look = layout, frame.timestamp_ns
        looks.parts += unpack(layout, found, self._main_size)

    def _learn_from_motion(self, looked_at: list[Subject], found: Detections, frame: Frame) -> None:
        """Tells scheduler and background which motion was nothing."""
        strong = found.boxes_xyxy[found.scores >= self._settings.model.min_score]
        for subject in looked_at:
            box = np.array([subject.box_xyxy], np.float32)
            if len(strong) and max(covered(strong, box).max(), covered(box, strong).max()) > 0.3:
                self.scheduler.note_found(subject.box_xyxy)
                continue
            self.scheduler.note_empty(subject.box_xyxy, frame.timestamp_ns)
            if subject.activity < GHOST_ACTIVITY:
                self.motion.absorb(subject.box_xyxy, frame.luma)


def _boxes_of(subjects: Sequence[Subject]) -> Boxes:
    return np.array([subject.box_xyxy for subject in subjects], np.float32).reshape(-1, 4)
