"""Runs the stages in their order on one frame after another, without threads or sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import MOTION_LABEL, MotionSettings, Settings
from edge.vision.clock import StageClock, untimed
from edge.vision.colours import histograms
from edge.vision.flow import Flow
from edge.vision.geometry import Boxes, covered
from edge.vision.motion import Motion, MotionDetector
from edge.vision.motion_tracker import MotionTracker
from edge.vision.regions import Layout, Packer, combine, merge, unpack
from edge.vision.scheduler import MotionOutcome, Plan, Reason, Scheduler, Subject
from edge.vision.sizes import SizeWatch
from edge.vision.tracker import Tracker
from edge.vision.triggers import TriggerEvent, Triggers
from edge.vision.types import Detections, Frame, Track

# Chosen on PETS, where empty places and objects overlap; its effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
SAME_OBJECT = 0.3  # share of a blob in a detection, or the reverse, that makes them one object

_NO_DETECTIONS, _NO_IDS = Detections.empty(), np.zeros(0, np.int64)


class DetectorLike(Protocol):
    """The part of a detector that the pipeline needs."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def input_size(self) -> tuple[int, int]: ...

    @property
    def min_score(self) -> float:
        """Lowest score of a detection that is reported."""
        ...

    @property
    def weak_score(self) -> float:
        """Lowest score with which a detection may continue a track, by the model's file."""
        ...

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """(h, w, 3) RGB uint8 -> boxes in canvas pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Blobs:
    """Motion whose fragments are joined; the fields are those of `Motion`."""

    boxes_xyxy: Boxes
    activity: npt.NDArray[np.float32]
    soft: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CanvasView:
    """The model's last input.

    pixels: (h, w, 3) RGB uint8, a view that the next invocation overwrites.
    timestamp_ns: of the frame that it was cut from.
    """

    layout: Layout
    pixels: npt.NDArray[np.uint8]
    timestamp_ns: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """All results for one frame.

    layouts: the contents of the canvas, one for each invocation.
    canvas: the last canvas, of this frame or an earlier one; None before the first invocation.
    detections: those of this frame's invocations, from the tracker's weak score up, main pixels.
    track_ids: (n,) the track of each detection, 0 where it belongs to none.
    tracks: the open tracks. ended: those that ended with this frame.
    events: rules that were met.
    muted: objects so far whose trigger a muted place silenced.
    unexplained: what moves and belongs to no track, as tracks with the label `motion`; empty
        without a rule on that label.
    present: number of objects that meet each rule now, by its name.
    """

    frame: Frame
    motion: Motion
    layouts: tuple[Layout, ...]
    canvas: CanvasView | None
    detections: Detections
    track_ids: npt.NDArray[np.int64]
    tracks: tuple[Track, ...]
    ended: tuple[Track, ...]
    events: tuple[TriggerEvent, ...]
    muted: int = 0
    unexplained: tuple[Track, ...] = ()
    present: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Invocations:
    """The invocations of one frame: canvases, detections crop by crop, examined motion."""

    layouts: list[Layout] = field(default_factory=list)
    parts: list[Detections] = field(default_factory=list)
    motion: list[Subject] = field(default_factory=list)

    def crops_xyxy(self) -> Boxes:
        crops = [cell.crop_xyxy for layout in self.layouts for cell in layout.cells]
        return np.array(crops, np.float32).reshape(-1, 4)


class Pipeline:
    """All stages of one camera. Not thread-safe: one thread calls it, frame by frame.

    Made by `edge.vision.build.build_pipeline`.
    """

    def __init__(
        self,
        settings: Settings,
        detector: DetectorLike,
        luma_shape: tuple[int, int],
        main_size: tuple[int, int],
        clock: StageClock = untimed,
        last_events_ns: dict[str, int] | None = None,
    ) -> None:
        """luma_shape is (height, width), main_size (width, height), until a frame has others.

        clock: entered around each stage's work, for benchmarks. last_events_ns: as for `Triggers`.
        """
        self._settings = settings
        self._sizes = SizeWatch(main_size, (luma_shape[1], luma_shape[0]))
        self._detector = detector
        self._clock = clock
        self._motion = MotionDetector(_motion_of(settings), luma_shape, main_size)
        self._flow = Flow(luma_shape, main_size)
        self._packer = Packer(settings.regions, detector.input_size, main_size)
        self._scheduler = Scheduler(settings.scheduler, _agreeing_looks(settings))
        self._tracker = Tracker(
            settings.tracker,
            detector.labels,
            detector.min_score,
            main_size,
            detector.groups,
        )
        self._triggers = Triggers(
            settings.triggers,
            settings.zones,
            main_size,
            last_events_ns,
            settings.mutes,
            settings.site.position,
        )
        self._motion_tracker = MotionTracker()
        self._canvas: CanvasView | None = None

    @property
    def settings(self) -> Settings:
        return self._settings

    def apply(self, settings: Settings) -> None:
        """Uses new settings from the next frame on; tracks, cooldowns, budget and background stay.

        The sections source and model must be the same as before. Raises KeyError as `Triggers`,
        before anything is changed.
        """
        self._triggers.replace(settings.triggers, settings.zones, settings.mutes)
        self._motion.apply(_motion_of(settings))
        self._packer.apply(settings.regions)
        self._scheduler.apply(settings.scheduler, _agreeing_looks(settings))
        self._tracker.apply(settings.tracker)
        self._settings = settings

    def __call__(self, frame: Frame, budget_share: float = 1.0) -> Analysis:
        """budget_share: of the configured invocations per second; less when the machine is hot.

        A frame of another size begins a new scene: the open tracks end with it, the background is
        learnt again, and zones and masks, which are shares of the picture, apply to the new size.
        """
        if self._sizes.changed(frame):
            self._begin_scene()
        motion, blobs = self._find_motion(frame)
        tracks = self._move_tracks(frame)
        plan = self._plan(frame, motion, blobs, tracks, budget_share)
        invocations = self._invoke_all(frame, plan)
        detections, track_ids = _NO_DETECTIONS, _NO_IDS
        if invocations.layouts:
            detections, track_ids = self._update_tracks(frame, invocations)
            tracks = self._tracker.tracks()
        unexplained = self._unexplained(frame, blobs, tracks)
        events, present = self._events(frame, tracks, unexplained, looked=bool(invocations.layouts))
        if invocations.layouts:
            self._learn(frame, motion, invocations, detections)
        with self._clock("motion"):
            self._motion.hold(self._tracker.boxes_xyxy)
        if tracks:
            with self._clock("flow"):
                self._flow.keep(frame.luma, motion.mask)
        return Analysis(
            frame,
            motion,
            tuple(invocations.layouts),
            self._canvas,
            detections,
            track_ids,
            tracks,
            self._tracker.take_ended(),
            events,
            self._triggers.muted,
            unexplained,
            present,
        )

    def _begin_scene(self) -> None:
        """Makes the stages for the new size. Track ids and cooldowns of rules go on."""
        settings, main_size = self._settings, self._sizes.main_size
        self._motion = MotionDetector(_motion_of(settings), self._sizes.luma_shape, main_size)
        self._flow = Flow(self._sizes.luma_shape, main_size)
        self._packer = Packer(settings.regions, self._detector.input_size, main_size)
        self._scheduler = Scheduler(settings.scheduler, _agreeing_looks(settings))
        self._tracker.begin_scene(main_size)
        self._triggers.begin_scene(main_size)
        self._motion_tracker.begin_scene()
        self._canvas = None

    def _find_motion(self, frame: Frame) -> tuple[Motion, Blobs]:
        with self._clock("motion"):
            motion = self._motion(frame.luma, frame.timestamp_ns)
        with self._clock("scheduler"):
            return motion, self._joined(motion)

    def _move_tracks(self, frame: Frame) -> tuple[Track, ...]:
        """The open tracks, moved to the time of the frame."""
        with self._clock("flow"):
            shifts = self._flow(frame.luma, self._tracker.boxes_xyxy)
        with self._clock("tracker"):
            self._tracker.predict(frame.timestamp_ns, shifts)
            return self._tracker.tracks()

    def _plan(
        self,
        frame: Frame,
        motion: Motion,
        blobs: Blobs,
        tracks: Sequence[Track],
        budget_share: float,
    ) -> Plan:
        with self._clock("scheduler"):
            return self._scheduler.plan(
                frame.timestamp_ns,
                blobs.boxes_xyxy,
                blobs.activity,
                tracks,
                soft=blobs.soft,
                scene_change=motion.scene_change,
                budget_share=budget_share,
            )

    def _invoke_all(self, frame: Frame, plan: Plan) -> _Invocations:
        """Makes the invocations of the plan."""
        invocations = _Invocations()
        if plan.whole:
            self._invoke(frame, self._packer.whole(), invocations)
        subjects, left = plan.subjects, plan.invocations
        while left and subjects and subjects[0].due:
            left -= 1
            with self._clock("crops"):
                tracked = np.array([s.reason is not Reason.MOTION for s in subjects])
                layout, visible = self._packer.next(_views_of(subjects), tracked)
            self._invoke(frame, layout, invocations)
            shown = [s for s, is_visible in zip(subjects, visible, strict=True) if is_visible]
            invocations.motion += [s for s in shown if s.reason is Reason.MOTION]
            subjects = [
                s for s, is_visible in zip(subjects, visible, strict=True) if not is_visible
            ]
        return invocations

    def _invoke(self, frame: Frame, layout: Layout, invocations: _Invocations) -> None:
        with self._clock("crops"):
            canvas = self._packer.fill(layout, frame.main)
        weak_score = self._settings.tracker.weak_score or self._detector.weak_score
        with self._clock("detector"):
            detections = self._detector.detect(canvas, min(weak_score, self._detector.min_score))
        self._canvas = CanvasView(layout, canvas, frame.timestamp_ns)
        invocations.layouts.append(layout)
        invocations.parts += unpack(layout, detections, self._sizes.main_size)

    def _update_tracks(
        self, frame: Frame, invocations: _Invocations
    ) -> tuple[Detections, npt.NDArray[np.int64]]:
        detections = combine(invocations.parts, self._settings.model.max_iou)
        with self._clock("tracker"):
            colours = histograms(frame.main, detections.boxes_xyxy)
            ids = self._tracker.update(detections, invocations.crops_xyxy(), frame.index, colours)
        return detections, ids

    def _unexplained(
        self, frame: Frame, blobs: Blobs, tracks: tuple[Track, ...]
    ) -> tuple[Track, ...]:
        if not any(MOTION_LABEL in rule.labels for rule in self._settings.triggers):
            return ()
        return self._motion_tracker(
            blobs.boxes_xyxy, blobs.activity, tracks, frame.index, frame.timestamp_ns
        )

    def _events(
        self,
        frame: Frame,
        tracks: tuple[Track, ...],
        unexplained: tuple[Track, ...],
        *,
        looked: bool,
    ) -> tuple[tuple[TriggerEvent, ...], dict[str, int]]:
        """The events, and the number of objects that meet each rule.

        looked: whether tracks have looks at this frame.
        """
        looked |= any(one.looks[-1].frame_index == frame.index for one in unexplained)
        objects = (*tracks, *unexplained)
        with self._clock("triggers"):
            events = self._triggers(objects, frame) if looked else ()
            return events, self._triggers.present(objects)

    def _joined(self, motion: Motion) -> Blobs:
        """The blobs without their fragments, and the highest activity among these.

        Joined motion is soft if all of it is.
        """
        if not len(motion.blobs_xyxy):
            return Blobs(motion.blobs_xyxy, motion.activity, motion.soft)
        blobs, owner = merge(motion.blobs_xyxy, self._settings.regions.merge_gap)
        activity = np.zeros(len(blobs), np.float32)
        np.maximum.at(activity, owner, motion.activity)
        soft = np.ones(len(blobs), np.bool_)
        np.logical_and.at(soft, owner, motion.soft)
        return Blobs(blobs, activity, soft)

    def _learn(
        self, frame: Frame, motion: Motion, invocations: _Invocations, detections: Detections
    ) -> None:
        """Reports examined motion to the scheduler, and corrects the background.

        Ghosts are absorbed; a new scene is not learnt where it shows objects.
        """
        strong = detections.boxes_xyxy[detections.scores >= self._detector.min_score]
        outcomes = [
            MotionOutcome(subject.box_xyxy, _is_object(subject, strong), subject.soft)
            for subject in invocations.motion
        ]
        with self._clock("scheduler"):
            self._scheduler.report(frame.timestamp_ns, len(invocations.layouts), outcomes)
        with self._clock("motion"):
            if motion.scene_change:
                self._motion.keep_under(strong)
            for subject, outcome in zip(invocations.motion, outcomes, strict=True):
                if not outcome.has_object and subject.is_ghost:
                    self._motion.absorb(subject.box_xyxy, frame.luma)


def _motion_of(settings: Settings) -> MotionSettings:
    """With privacy masks as masks: black places tell nothing about the light of the scene."""
    masks = settings.motion.masks + settings.privacy.masks
    return msgspec.structs.replace(settings.motion, masks=masks)


def _agreeing_looks(settings: Settings) -> int:
    """How many looks the most demanding rule needs of a new object."""
    return max((rule.confirm for rule in settings.triggers), default=2)


def _is_object(subject: Subject, objects_xyxy: Boxes) -> bool:
    """Whether a detection lies where the motion was."""
    if len(objects_xyxy) == 0:
        return False
    box = np.array([subject.box_xyxy], np.float32)
    shared = max(covered(objects_xyxy, box).max(), covered(box, objects_xyxy).max())
    return bool(shared > SAME_OBJECT)


def _views_of(subjects: Sequence[Subject]) -> Boxes:
    """(n, 4) the boxes around which crops are cut."""
    return np.array([subject.view_xyxy for subject in subjects], np.float32).reshape(-1, 4)
