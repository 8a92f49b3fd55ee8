"""Ways to look at every frame of a video: what a user would do, and steps towards the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edge.bench.ground_truth import Objects
from edge.config.schema import RegionSettings, Settings
from edge.vision.detector import Detector
from edge.vision.pipeline import Pipeline
from edge.vision.regions import Layout, Packer, combine, tiles, unpack
from edge.vision.tracker import Tracker
from edge.vision.types import Detections, Frame, Track, TrackState

SHOWN_MISSES = 1  # a track that more looks in a row have missed is no longer counted as seen


@dataclass(frozen=True, slots=True)
class Step:
    """What a strategy says of one frame, and the invocations that it took."""

    seen: Objects
    invocations: int


Strategy = Callable[[Frame], Step]
Maker = Callable[[Settings, Detector, Frame, str], Strategy]


def strategies() -> dict[str, Maker]:
    """By name, from what a user would do to what is shipped."""
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

    def make(settings: Settings, detector: Detector, first: Frame, label: str) -> Strategy:
        changed = {
            section: msgspec.structs.replace(getattr(settings, section), **values)
            for section, values in changes.items()
        }
        own = msgspec.structs.replace(settings, **changed)
        height, width = first.luma.shape
        size = (first.main.width, first.main.height)
        pipeline = Pipeline(own, detector, (height, width), size)

        def step(frame: Frame) -> Step:
            analysis = pipeline(frame)
            return Step(_seen(analysis.tracks, label), len(analysis.layouts))

        return step

    return make


def _seen(tracks: tuple[Track, ...], label: str) -> Objects:
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
    """The same looks at every frame; detections as they are, with the tracker's identities."""

    def make(settings: Settings, detector: Detector, first: Frame, label: str) -> Strategy:
        size = (first.main.width, first.main.height)
        packer = Packer(RegionSettings(), detector.input_size, size)
        layouts = layouts_of(packer, detector.input_size, size)
        tracker = Tracker(settings.tracker, detector.labels, settings.model.min_score, size)
        looked = np.array([[0, 0, *size]], np.float32)

        def step(frame: Frame) -> Step:
            parts: list[Detections] = []
            for layout in layouts:
                canvas = packer.fill(layout, frame.main)
                parts += unpack(layout, detector.detect(canvas), size)
            found = combine(parts, settings.model.max_iou)
            tracker.predict(frame.timestamp_ns)
            ids = tracker.update(found, looked, frame.index)
            own = np.array([detector.labels[c] == label for c in found.class_ids], np.bool_)
            return Step(Objects(ids[own], found.boxes_xyxy[own]), len(layouts))

        return step

    return make


def _whole(packer: Packer, _input: tuple[int, int], _size: tuple[int, int]) -> list[Layout]:
    return [packer.whole()]


def _tiles(
    _packer: Packer, input_size: tuple[int, int], main_size: tuple[int, int]
) -> list[Layout]:
    return tiles(input_size, main_size)
