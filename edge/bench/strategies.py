"""Strategies for the frames of a video, from whole frames to the pipeline as it is shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edge.bench.ground_truth import Objects
from edge.config.schema import RegionSettings, Settings
from edge.vision.build import build_pipeline
from edge.vision.detector import Detector
from edge.vision.regions import Layout, Packer, combine, tiles, unpack
from edge.vision.tracker import Tracker
from edge.vision.types import Detections, Frame, SourceInfo, Track, TrackState

SHOWN_MISSES = 1  # a track with more misses in a row does not count; chosen


@dataclass(frozen=True, slots=True)
class Step:
    """The objects that a strategy reports in one frame, and its invocations."""

    objects: Objects
    invocations: int


Strategy = Callable[[Frame], Step]
Maker = Callable[[Settings, Detector, SourceInfo, str], Strategy]


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

    def make(settings: Settings, detector: Detector, info: SourceInfo, label: str) -> Strategy:
        changed = {
            section: msgspec.structs.replace(getattr(settings, section), **values)
            for section, values in changes.items()
        }
        # Only the label that is measured needs to be in the model, not those of the rules.
        changed_settings = msgspec.structs.replace(settings, **changed, triggers=())
        pipeline = build_pipeline(changed_settings, detector, info)

        def step(frame: Frame) -> Step:
            analysis = pipeline(frame)
            return Step(_shown(analysis.tracks, label), len(analysis.layouts))

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

    def make(settings: Settings, detector: Detector, info: SourceInfo, label: str) -> Strategy:
        size = info.main_size
        packer = Packer(RegionSettings(), detector.input_size, size)
        layouts = layouts_of(packer, detector.input_size, size)
        tracker = Tracker(settings.tracker, detector.labels, settings.model.min_score, size)
        whole = np.array([[0, 0, *size]], np.float32)

        def step(frame: Frame) -> Step:
            parts: list[Detections] = []
            for layout in layouts:
                canvas = packer.fill(layout, frame.main)
                parts += unpack(layout, detector.detect(canvas), size)
            detections = combine(parts, settings.model.max_iou)
            tracker.predict(frame.timestamp_ns)
            ids = tracker.update(detections, whole, frame.index)
            labels = [detector.labels[class_id] for class_id in detections.class_ids]
            labelled = np.array([name == label for name in labels], np.bool_)
            return Step(Objects(ids[labelled], detections.boxes_xyxy[labelled]), len(layouts))

        return step

    return make


def _whole(packer: Packer, _input: tuple[int, int], _size: tuple[int, int]) -> list[Layout]:
    return [packer.whole()]


def _tiles(
    _packer: Packer, input_size: tuple[int, int], main_size: tuple[int, int]
) -> list[Layout]:
    return tiles(input_size, main_size)
