"""The detector: runs the model on a canvas and returns boxes."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import ModelSettings
from edge.vision.detector.input import Canvas, writer
from edge.vision.detector.labels import NAMELESS
from edge.vision.detector.model import open_model
from edge.vision.detector.model_file import DEFAULT_MIN_SCORE, DEFAULT_WEAK_SCORE, readable
from edge.vision.types import Detections

LARGEST_SCORE = 1.5  # the scale of a quantized score may reach a little above 1
LARGEST_COORDINATE = 10.0  # shares of the input; only damaged boxes reach further
log = logging.getLogger(__name__)


class Detector:
    """Any TFLite detector whose layout is in `edge.vision.detector.layouts`.

    labels, groups: by class id; a label without a group has an empty one.
    min_score: the setting, otherwise the one that the model's file names.
    warnings: sentences about the model that a person should read; they are also logged.
    Not thread-safe: the interpreter's tensors are written and read in place.
    """

    def __init__(self, settings: ModelSettings, path: Path) -> None:
        """path: the file of the model that `settings.file` names. Raises ModelError."""
        self._settings = settings
        self.model, self._interpreter = open_model(path, settings)
        self.input_size: tuple[int, int] = self.model.input.geometry.size
        self.labels: tuple[str, ...] = self.model.labels
        self.groups: tuple[str, ...] = self.model.groups
        self.warnings: tuple[str, ...] = self.model.warnings
        spec = self.model.spec
        self.min_score = settings.min_score or (spec.min_score if spec else DEFAULT_MIN_SCORE)
        self.name: str = spec.name if spec else path.stem
        self._kinds = _suppressed_together(self.labels, self.groups)
        (detail,) = self._interpreter.get_input_details()
        self._write = writer(self.model.input, self._interpreter.tensor(detail["index"]))
        self._outputs = [int(one["index"]) for one in self._interpreter.get_output_details()]
        with readable(path, "the graph"):  # a damaged one fails here, not in the field
            self.detect(np.full((*self.input_size[::-1], 3), 127, np.uint8))
        for warning in self.warnings:
            log.warning(warning)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model's flatbuffer, in hexadecimal digits."""
        return hashlib.sha256(self.model.flatbuffer).hexdigest()

    @property
    def weak_score(self) -> float:
        """Lowest score with which a detection may continue a track, by the model's file."""
        return self.model.spec.weak_score if self.model.spec else DEFAULT_WEAK_SCORE

    def detect(self, canvas: Canvas, min_score: float | None = None) -> Detections:
        """Runs the model once.

        canvas: (height, width, 3) RGB uint8 of the model's input size; not kept.
        min_score: lowest score returned; None uses that of the detector.
        Returns detections in pixels of the canvas, best first, after NMS per class, in which a
        group of labels counts as one class.
        """
        if min_score is None:
            min_score = self.min_score
        self._write(canvas)
        self._interpreter.invoke()
        outputs = [self._interpreter.get_tensor(index) for index in self._outputs]
        with np.errstate(all="ignore"):  # NaN and infinity of a damaged model are dropped below
            raw = self._plausible(self.model.decoding.decode([_one(o) for o in outputs], min_score))
        kept = raw[suppressed(raw, self._kinds[raw.class_ids], self._settings.max_iou)]
        width, height = self.input_size
        size = np.array([width, height, width, height], np.float32)
        return Detections(kept.boxes_xyxy * size, kept.scores, kept.class_ids)

    def _plausible(self, found: Detections) -> Detections:
        """Without classes that have no name, and boxes that no working model gives."""
        known = (found.class_ids >= 0) & (found.class_ids < len(self.labels))
        known[known] &= self._kinds[found.class_ids[known]] >= 0
        boxes = found.boxes_xyxy
        finite = np.abs(boxes).max(axis=1, initial=0) <= LARGEST_COORDINATE  # False for NaN
        ordered = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        kept = found[known & finite & ordered & (found.scores <= LARGEST_SCORE)]
        return replace(kept, scores=np.minimum(kept.scores, 1))


def _one(output: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """An output without its batch."""
    return output[0] if output.ndim > 1 else output


def suppressed(
    found: Detections, kinds: npt.NDArray[np.int64], max_iou: float
) -> npt.NDArray[np.intp]:
    """Rows that NMS per kind keeps, best first. As `geometry.nms`, but for a thousand boxes.

    OpenCV needs 9 ms for 1000 boxes where numpy needs 135, and 0.3 instead of 2.4 for 200.
    """
    boxes = found.boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    rows = cv2.dnn.NMSBoxesBatched(
        boxes.tolist(), found.scores.tolist(), kinds.tolist(), -1.0, max_iou
    )
    return np.asarray(rows, np.intp).reshape(-1)


def _suppressed_together(labels: tuple[str, ...], groups: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """(classes,) the number of each class's group, or its own; -1 for a class without a name."""
    first: dict[str, int] = {}
    return np.array(
        [
            -1 if label == NAMELESS else first.setdefault(group or f"label {number}", number)
            for number, (label, group) in enumerate(zip(labels, groups, strict=True))
        ],
        np.int64,
    )
