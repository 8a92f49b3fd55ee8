"""Teachers find and name the objects in a frame: a detector, or the drawn scene itself.

They have no budget: a teacher may look at every crop, at the whole frame and at tiles of it. It
finds more than the model does in the daemon, and a small model learns from that (distillation).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edge.config.schema import Settings
from edge.errors import ConfigError, ModelError
from edge.sources.base import Source
from edge.sources.scenes.synthetic import SyntheticSource
from edge.vision.detector.model_file import DEFAULT_MIN_SCORE
from edge.vision.geometry import Boxes
from edge.vision.regions import Layout, Packer, combine, tiles, unpack
from edge.vision.types import Detections, Frame
from mobiledet.models import open_model

TRUTH = "truth"


class Teacher(Protocol):
    """Looks at frames of one footage.

    exact: whether it always finds all objects. min_score: of a detection that starts a track.
    """

    labels: tuple[str, ...]
    exact: bool
    min_score: float

    def look(self, frame: Frame, moving_xyxy: Boxes) -> Detections:
        """Detections in main pixels, from the tracker's weak_score on. moving_xyxy: (n, 4)."""
        ...


def teacher_for(name: str, in_tiles: bool, settings: Settings, source: Source) -> Teacher:
    """name: a model, or `truth` for a drawn scene. Raises ConfigError, ModelError."""
    if name != TRUTH:
        return ModelTeacher(name, in_tiles, settings)
    if not isinstance(source, SyntheticSource):
        raise ConfigError("--teacher truth needs a synthetic: scene, which knows its objects")
    return TruthTeacher(source)


class ModelTeacher:
    """A detector that looks at the whole frame, at moving places and, if requested, at tiles."""

    exact = False

    def __init__(self, name: str, in_tiles: bool, settings: Settings) -> None:
        self._settings = settings
        self._detector = open_model(name, settings)
        weak_score = settings.tracker.weak_score or self._detector.weak_score
        self._weak_score = min(weak_score, self._detector.min_score)
        self._in_tiles = in_tiles
        self._packer: Packer | None = None
        self._size = (0, 0)
        self.labels, self.min_score = self._detector.labels, self._detector.min_score

    def look(self, frame: Frame, moving_xyxy: Boxes) -> Detections:
        size = (frame.main.width, frame.main.height)
        if self._packer is None or size != self._size:
            self._packer = Packer(self._settings.regions, self._detector.input_size, size)
            self._size = size
        layouts = [self._packer.whole()]
        if self._in_tiles:
            layouts += tiles(self._detector.input_size, size)
        layouts += _layouts(moving_xyxy, self._packer)
        parts: list[Detections] = []
        for layout in layouts:
            canvas = self._packer.fill(layout, frame.main)
            parts += unpack(layout, self._detector.detect(canvas, self._weak_score), size)
        return combine(parts, self._settings.model.max_iou)


def _layouts(boxes_xyxy: Boxes, packer: Packer) -> list[Layout]:
    """The layouts of as many canvases as the boxes need."""
    layouts = []
    while len(boxes_xyxy):
        layout, shown = packer.next(boxes_xyxy)
        layouts.append(layout)
        boxes_xyxy = boxes_xyxy[~shown]
    return layouts


class TruthTeacher:
    """A drawn scene, which knows the place of each figure."""

    exact = True
    min_score = DEFAULT_MIN_SCORE

    def __init__(self, source: SyntheticSource) -> None:
        """Raises ModelError for a scene without figures."""
        self._scene = source.scene
        self.labels = tuple(sorted(set(self._scene.labels)))
        if not self.labels:
            raise ModelError("--teacher truth: this scene has no figures")

    def look(self, frame: Frame, moving_xyxy: Boxes) -> Detections:  # noqa: ARG002
        ids, boxes = self._scene.truth(frame.index)
        class_ids = [self.labels.index(self._scene.labels[number]) for number in ids]
        return Detections(boxes, np.ones(len(ids), np.float32), np.array(class_ids, np.int64))
