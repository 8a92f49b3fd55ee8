"""Strategies for the frames of a video, from whole frames to the pipeline as it is shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bench.ground_truth import Objects
from edge.config.schema import RegionSettings, Settings, TriggerRule
from edge.vision.build import build_pipeline
from edge.vision.geometry import Boxes
from edge.vision.motion import MotionDetector
from edge.vision.pipeline import DetectorLike
from edge.vision.regions import Layout, Packer, combine, tiles, unpack
from edge.vision.tracker import Tracker
from edge.vision.triggers import TriggerEvent, Triggers
from edge.vision.types import Detections, Frame, SourceInfo, Track, TrackState

SHOWN_MISSES = 1  # a track with more misses in a row does not count; chosen


@dataclass(frozen=True, slots=True)
class Step:
    """The results of a strategy for one frame.

    objects: those that it reports. crops_xyxy: (k, 4), what its invocations examined.
    detections_xyxy: (n, 4), the strong ones of the label. All in main pixels.
    """

    objects: Objects
    invocations: int
    crops_xyxy: Boxes
    detections_xyxy: Boxes
    blobs_xyxy: Boxes
    tracks: tuple[Track, ...]
    events: tuple[TriggerEvent, ...]


Strategy = Callable[[Frame], Step]
Maker = Callable[[Settings, DetectorLike, SourceInfo, str], Strategy]


def strategies() -> dict[str, Maker]:
    """All strategies by name, from the simplest to the shipped one."""
    eager = {
        "scheduler": {
            "invocations_per_s": 1000.0,
            "burst": 100,
            "relook_s": 0.0,
            "standing_relook_s": 0.0,
            "empty_relook_s": 0.0,
        }
    }
    return {
        "whole-frame": _fixed(_whole),
        "tiles": _fixed(_tiles),
        "crop-per-blob": _pipeline({**eager, "regions": {"pack": False}}),
        "packed": _pipeline(eager),
        "packed+scheduled": _pipeline({}),
    }


def _pipeline(changes: dict[str, dict[str, Any]]) -> Maker:
    """The real pipeline with some settings changed."""

    def make(settings: Settings, detector: DetectorLike, info: SourceInfo, label: str) -> Strategy:
        changed = {
            section: msgspec.structs.replace(getattr(settings, section), **values)
            for section, values in changes.items()
        }
        # Only the label that is measured needs to be in the model, not those of the rules.
        changed_settings = msgspec.structs.replace(settings, **changed, triggers=(rule_of(label),))
        pipeline = build_pipeline(changed_settings, detector, info)

        def step(frame: Frame) -> Step:
            analysis = pipeline(frame)
            strong = analysis.detections.scores >= detector.min_score
            return Step(
                _shown(analysis.tracks, label),
                len(analysis.layouts),
                _crops(analysis.layouts),
                _labelled(analysis.detections[strong], detector.labels, label).boxes_xyxy,
                analysis.motion.blobs_xyxy,
                analysis.tracks,
                analysis.events,
            )

        return step

    return make


def _shown(tracks: tuple[Track, ...], label: str) -> Objects:
    shown = [
        track
        for track in tracks
        if track.label == label
        and track.state is not TrackState.TENTATIVE
        and track.misses <= SHOWN_MISSES
    ]
    return Objects(
        np.array([track.id for track in shown], np.int64),
        np.array([track.box_xyxy for track in shown], np.float32).reshape(-1, 4),
    )


def _fixed(layouts_of: Callable[[Packer, tuple[int, int], tuple[int, int]], list[Layout]]) -> Maker:
    """The same crops in every frame; the detections, with the tracker's identities."""

    def make(settings: Settings, detector: DetectorLike, info: SourceInfo, label: str) -> Strategy:
        size = info.main_size
        packer = Packer(RegionSettings(), detector.input_size, size)
        layouts = layouts_of(packer, detector.input_size, size)
        tracker = Tracker(settings.tracker, detector.labels, detector.min_score, size)
        triggers = Triggers([rule_of(label)], [], size)
        motion = MotionDetector(settings.motion, info.luma_shape, size)
        whole = np.array([[0, 0, *size]], np.float32)

        def step(frame: Frame) -> Step:
            parts: list[Detections] = []
            for layout in layouts:
                canvas = packer.fill(layout, frame.main)
                parts += unpack(layout, detector.detect(canvas), size)
            detections = combine(parts, settings.model.max_iou)
            tracker.predict(frame.timestamp_ns)
            ids = tracker.update(detections, whole, frame.index)
            tracks = tracker.tracks()
            shown = _labelled(detections, detector.labels, label)
            return Step(
                Objects(ids[_has_label(detections, detector.labels, label)], shown.boxes_xyxy),
                len(layouts),
                _crops(layouts),
                shown.boxes_xyxy,
                motion(frame.luma, frame.timestamp_ns).blobs_xyxy,
                tracks,
                triggers(tracks, frame),
            )

        return step

    return make


def rule_of(label: str) -> TriggerRule:
    """The default rule for a label, without a cooldown, so that every object can trigger."""
    return TriggerRule("bench", labels=(label,), cooldown_s=0.0)


def _has_label(
    detections: Detections, labels: tuple[str, ...], label: str
) -> npt.NDArray[np.bool_]:
    return np.array([labels[class_id] == label for class_id in detections.class_ids], np.bool_)


def _labelled(detections: Detections, labels: tuple[str, ...], label: str) -> Detections:
    return detections[_has_label(detections, labels, label)]


def _crops(layouts: Sequence[Layout]) -> Boxes:
    crops = [cell.crop_xyxy for layout in layouts for cell in layout.cells]
    return np.array(crops, np.float32).reshape(-1, 4)


def _whole(packer: Packer, _input: tuple[int, int], _size: tuple[int, int]) -> list[Layout]:
    return [packer.whole()]


def _tiles(
    _packer: Packer, input_size: tuple[int, int], main_size: tuple[int, int]
) -> list[Layout]:
    return tiles(input_size, main_size)
