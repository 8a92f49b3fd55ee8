"""Counts and times the invocations of a detector."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from edge.daemon.progress import Progress
from edge.runtime.stage import Stage
from edge.vision.detector import Detector
from edge.vision.types import Detections


class TimedDetector:
    """A detector that counts and times its invocations. invocation: busy during one."""

    def __init__(self, detector: Detector, progress: Progress) -> None:
        self._detector = detector
        self._progress = progress
        self.invocation = Stage()
        self.labels = detector.labels
        self.min_score, self.weak_score = detector.min_score, detector.weak_score
        self.groups = detector.groups
        self.input_size = detector.input_size

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """As `Detector.detect`."""
        start_ns = time.monotonic_ns()
        with self.invocation.work():
            detections = self._detector.detect(canvas, min_score)
        self._progress.invoked_ns += time.monotonic_ns() - start_ns
        self._progress.invocations += 1
        return detections
