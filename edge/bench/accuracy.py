"""Accuracy and cost of models, strategies and other programs, against ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.bench.extras import needs
from edge.bench.ground_truth import NONE, Objects, Reported, load_detections, load_ground_truth
from edge.bench.strategies import strategies
from edge.config.schema import Settings
from edge.errors import ConfigError, PermanentError
from edge.sources import open_source
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.geometry import Boxes
from edge.vision.pipeline import DetectorLike
from edge.vision.types import Detections

MIN_IOU = 0.5  # as in MOTChallenge
SHIPPED = "packed+scheduled"
DETECTIONS = "detections"
SHOWN_LABELS = 12
Progress = Callable[[str, int, int | None], None]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one model with one strategy, or of a file of boxes, over the counted frames.

    model: name of the model's file, or of the file of boxes, whose strategy is `detections`. None
    is what such a file doesn't have: cost, and what depends on identities if it names none.
    min_score: of the model. model_mb: size of its file. invocation_ms: CPU time, median.
    cpu_to_whole_frame: CPU time relative to that of the strategy `whole-frame`.
    """

    model: str
    strategy: str
    precision: float
    recall: float
    f1: float
    identity_switches: int | None = None
    mota: float | None = None
    idf1: float | None = None
    invocations_per_frame: float | None = None
    cpu_ms_per_frame: float | None = None
    cpu_to_whole_frame: float | None = None
    min_score: float | None = None
    model_mb: float | None = None
    invocation_ms: float | None = None


class AccuracyReport(msgspec.Struct, frozen=True):
    """All rows of one run, with the video and the label of its objects."""

    video: str
    label: str
    frames: int
    min_iou: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured.

    label: the models' name for the objects of the ground truth. first_frame: frames before it are
    played, so that the background is learnt and tracks exist, but not counted. detections: files
    of boxes in the format of MOTChallenge, of which those below `min_confidence` are left out.
    """

    video: Path
    ground_truth: Path
    label: str = "person"
    first_frame: int = 0
    detections: tuple[Path, ...] = ()
    min_confidence: float | None = None


@dataclass(slots=True)
class _Played:
    """Sums over the frames that count. accumulator: of motmetrics. frames: numbers from 0."""

    accumulator: Any
    frames: list[int]
    invocations: int = 0
    cpu_s: float = 0.0


class _Timed:
    """A detector whose invocations are timed. spent_ms: CPU time of each."""

    def __init__(self, detector: Detector) -> None:
        self.labels, self.groups = detector.labels, detector.groups
        self.input_size, self.min_score = detector.input_size, detector.min_score
        self.weak_score = detector.weak_score
        self.spent_ms: list[float] = []
        self._detector = detector

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """As `Detector.detect`."""
        start_ns = time.process_time_ns()
        found = self._detector.detect(canvas, min_score)
        self.spent_ms.append((time.process_time_ns() - start_ns) / 1e6)
        return found


def accuracy(
    settings: Settings,
    task: Task,
    names: Sequence[str],
    progress: Progress,
    models: Sequence[str] = (),
) -> AccuracyReport:
    """Plays a video once for each model and strategy, and scores the files of boxes beside them.

    names: of strategies. models: names or files; without any, that of the settings. Its other keys
    apply to all of them. Raises EdgeError.
    """
    unknown = [name for name in names if name not in strategies()]
    if unknown:
        raise ConfigError(f"strategy {unknown[0]}: expected one of {', '.join(strategies())}")
    needs("motmetrics")
    truth = load_ground_truth(task.ground_truth)
    reported = [load_detections(path, task.min_confidence) for path in task.detections]
    detectors = [_detector(settings, model, task.label) for model in models or [""]]
    rows: list[Row] = []
    frames: list[int] = []
    for detector in detectors:
        played = []
        for name in names:
            shown = f"{detector.name} {name}" if len(detectors) > 1 else name
            one, row = _measured(settings, detector, truth, name, task, partial(progress, shown))
            played.append(row)
            frames = one.frames
        rows += _with_ratios(played)
    for path, boxes in zip(task.detections, reported, strict=True):
        rows.append(_of_file(path.name, boxes, truth, frames))
    return AccuracyReport(task.video.name, task.label, len(frames), MIN_IOU, tuple(rows))


def _detector(settings: Settings, model: str, label: str) -> Detector:
    chosen = settings.model
    if model:
        chosen = msgspec.structs.replace(chosen, file=model)
    detector = Detector(chosen, find_model(chosen.file))
    if label not in detector.labels:
        some = ", ".join(detector.labels[:SHOWN_LABELS])
        more = ", …" if len(detector.labels) > SHOWN_LABELS else ""
        raise ConfigError(f"model {chosen.file}: label {label}: expected one of {some}{more}")
    return detector


def _measured(
    settings: Settings,
    detector: Detector,
    truth: dict[int, Objects],
    name: str,
    task: Task,
    progress: Callable[[int, int | None], None],
) -> tuple[_Played, Row]:
    """Plays all frames of a video through one strategy with one model."""
    timed = _Timed(detector)
    played = _play(settings, timed, truth, name, task, progress)
    return played, Row(
        model=detector.model.path.stem,
        strategy=name,
        **_scores(played.accumulator),
        **_identity_scores(played.accumulator),
        invocations_per_frame=round(played.invocations / len(played.frames), 3),
        cpu_ms_per_frame=round(played.cpu_s / len(played.frames) * 1e3, 3),
        min_score=detector.min_score,
        model_mb=round(len(detector.model.flatbuffer) / 1e6, 2),
        invocation_ms=round(float(np.median(timed.spent_ms)), 2) if timed.spent_ms else None,
    )


def _of_file(
    name: str, reported: Reported, truth: dict[int, Objects], frames: Sequence[int]
) -> Row:
    """The row of another program. frames: numbers from 0 of those that count."""
    if reported.last_frame > frames[-1] + 1:
        raise ConfigError(
            f"{reported.last_line}: frame {reported.last_frame}, but the video ends with frame "
            f"{frames[-1] + 1}"
        )
    accumulator = needs("motmetrics").MOTAccumulator(auto_id=False)
    for frame in frames:
        objects = reported.objects.get(frame, NONE)
        _accumulate(accumulator, truth.get(frame, NONE), objects, frame)
    identity = _identity_scores(accumulator) if reported.identified else {}
    return Row(model=name, strategy=DETECTIONS, **_scores(accumulator), **identity)


def _play(
    settings: Settings,
    detector: DetectorLike,
    truth: dict[int, Objects],
    name: str,
    task: Task,
    progress: Callable[[int, int | None], None],
) -> _Played:
    played = _Played(needs("motmetrics").MOTAccumulator(auto_id=False), [])
    settings = msgspec.structs.replace(
        settings, source=msgspec.structs.replace(settings.source, uri=str(task.video), fast=True)
    )
    source = open_source(settings.source, masks=settings.privacy.masks, recording=True)
    info = source.open()
    step = strategies()[name](settings, detector, info, task.label)
    try:
        while (frame := source.read()) is not None:
            start_s = time.process_time()
            result = step(frame)
            taken_s = time.process_time() - start_s
            progress(frame.index + 1, info.frame_count)
            if frame.index < task.first_frame:
                continue
            played.frames.append(frame.index)
            played.cpu_s += taken_s
            played.invocations += result.invocations
            objects = truth.get(frame.index, NONE)
            _accumulate(played.accumulator, objects, result.objects, frame.index)
    finally:
        source.close()
    if not played.frames:
        raise PermanentError(f"source {settings.source.name}: no frames from {task.first_frame} on")
    return played


def _scores(accumulator: Any) -> dict[str, Any]:
    found = _metrics(accumulator, "precision", "recall")
    precision, recall = found["precision"], found["recall"]
    both = precision + recall
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / both if both else 0.0, 4),
    }


def _identity_scores(accumulator: Any) -> dict[str, Any]:
    found = _metrics(accumulator, "num_switches", "mota", "idf1")
    return {
        "identity_switches": int(found["num_switches"]),
        "mota": round(found["mota"], 4),
        "idf1": round(found["idf1"], 4),
    }


def _metrics(accumulator: Any, *names: str) -> dict[str, float]:
    computed = (
        needs("motmetrics")
        .metrics.create()
        .compute(accumulator, metrics=list(names), return_dataframe=False)
    )
    return {name: float(np.nan_to_num(value)) for name, value in computed.items()}


def _accumulate(accumulator: Any, truth: Objects, reported: Objects, index: int) -> None:
    distances = needs("motmetrics").distances.iou_matrix(
        _xywh(truth.boxes_xyxy), _xywh(reported.boxes_xyxy), max_iou=1 - MIN_IOU
    )
    distances = np.reshape(distances, (len(truth.ids), len(reported.ids)))
    accumulator.update(truth.ids.tolist(), reported.ids.tolist(), distances, frameid=index)


def _xywh(boxes_xyxy: Boxes) -> Boxes:
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def _with_ratios(rows: list[Row]) -> list[Row]:
    """The rows of one model."""
    whole = next((row.cpu_ms_per_frame for row in rows if row.strategy == "whole-frame"), None)
    if not whole:
        return rows
    return [
        msgspec.structs.replace(
            row, cpu_to_whole_frame=round((row.cpu_ms_per_frame or 0.0) / whole, 3)
        )
        for row in rows
    ]


def plot(report: AccuracyReport, path: Path) -> None:
    """Plots recall and precision over invocations; the file's suffix sets the format."""
    figure_class = needs("matplotlib.figure").Figure
    figure = figure_class(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    rows = [row for row in report.rows if row.strategy != DETECTIONS]
    models = list(dict.fromkeys(row.model for row in rows))
    invocations = [max(row.invocations_per_frame or 0.0, 0.01) for row in rows]
    axes.scatter(invocations, [row.recall for row in rows], label="recall")
    axes.scatter(invocations, [row.precision for row in rows], label="precision", marker="x")
    for x, row in zip(invocations, rows, strict=True):
        text = row.strategy if len(models) == 1 else row.model
        axes.annotate(text, (x, row.recall), (4, 6), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set(xlabel="invocations per frame", ylabel=f"at IoU {report.min_iou}", ylim=(0, 1))
    axes.set_title(f"{report.video}, {', '.join(models)}", fontsize=10)
    axes.legend(loc="lower right")
    figure.savefig(path)
