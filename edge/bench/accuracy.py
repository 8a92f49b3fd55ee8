"""Accuracy for invocations: the pipeline and what a user would do instead, against ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.bench.extras import needs
from edge.bench.ground_truth import NONE, Objects, load_ground_truth
from edge.bench.strategies import strategies
from edge.config.schema import Settings
from edge.errors import PermanentError
from edge.sources import open_source
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.geometry import Boxes
from edge.vision.types import Frame

MIN_IOU = 0.5
Progress = Callable[[str, int, int | None], None]


class Row(msgspec.Struct, frozen=True):
    """What one strategy achieved over all frames."""

    strategy: str
    invocations_per_frame: float
    precision: float
    recall: float
    f1: float
    identity_switches: int
    mota: float
    idf1: float
    cpu_ms_per_frame: float
    cpu_to_whole_frame: float | None = None


class AccuracyReport(msgspec.Struct, frozen=True):
    """All rows of one run, and of what."""

    video: str
    model: str
    label: str
    frames: int
    min_iou: float
    rows: tuple[Row, ...]


def accuracy(
    settings: Settings,
    video: Path,
    ground_truth: Path,
    names: Sequence[str],
    label: str,
    progress: Progress,
    first_frame: int = 0,
) -> AccuracyReport:
    """Plays a video once for each strategy; every frame from `first_frame` on counts.

    label: the model's name for what the ground truth marks. Those before the first are played too,
    so that background and tracks are as they would be. Raises EdgeError.
    """
    known = strategies()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PermanentError(f"strategy {unknown[0]}: expected one of {', '.join(known)}")
    needs("motmetrics")
    truth = load_ground_truth(ground_truth)
    detector = Detector(settings.model, find_model(settings.model.file))
    if label not in detector.labels:
        raise PermanentError(f"label {label}: {detector.name} knows {', '.join(detector.labels)}")
    own = msgspec.structs.replace(
        settings, source=msgspec.structs.replace(settings.source, uri=str(video), fast=True)
    )
    rows, frames = [], 0
    for name in names:
        row, frames = _row(own, detector, truth, name, label, progress, first_frame)
        rows.append(row)
    return AccuracyReport(
        video.name, detector.name, label, frames, MIN_IOU, tuple(_with_ratios(rows))
    )


def _row(
    settings: Settings,
    detector: Detector,
    truth: dict[int, Objects],
    name: str,
    label: str,
    progress: Progress,
    first_frame: int,
) -> tuple[Row, int]:
    motmetrics = needs("motmetrics")
    accumulator = motmetrics.MOTAccumulator(auto_id=False)
    step, invocations, cpu_s, count = None, 0, 0.0, 0
    for frame, total in _frames(settings):
        if step is None:
            step = strategies()[name](settings, detector, frame, label)
        start_s = time.process_time()
        result = step(frame)
        taken_s = time.process_time() - start_s
        progress(name, frame.index + 1, total)
        if frame.index < first_frame:
            continue
        cpu_s += taken_s
        invocations += result.invocations
        _accumulate(accumulator, motmetrics, truth.get(frame.index, NONE), result.seen, frame.index)
        count += 1
    if count == 0:
        raise PermanentError(f"source {settings.source.uri}: no frames from {first_frame} on")
    found = motmetrics.metrics.create().compute(
        accumulator,
        metrics=["precision", "recall", "num_switches", "mota", "idf1"],
        return_dataframe=False,
    )
    found = {key: float(np.nan_to_num(value)) for key, value in found.items()}
    both = found["precision"] + found["recall"]
    return (
        Row(
            strategy=name,
            invocations_per_frame=round(invocations / count, 3),
            precision=round(found["precision"], 4),
            recall=round(found["recall"], 4),
            f1=round(2 * found["precision"] * found["recall"] / both if both else 0.0, 4),
            identity_switches=int(found["num_switches"]),
            mota=round(found["mota"], 4),
            idf1=round(found["idf1"], 4),
            cpu_ms_per_frame=round(cpu_s / count * 1e3, 3),
        ),
        count,
    )


def _frames(settings: Settings) -> Iterator[tuple[Frame, int | None]]:
    source = open_source(settings.source, recording=True)
    info = source.open()
    try:
        while (frame := source.read()) is not None:
            yield frame, info.frame_count
    finally:
        source.close()


def _accumulate(
    accumulator: Any, motmetrics: Any, truth: Objects, seen: Objects, index: int
) -> None:
    distances = motmetrics.distances.iou_matrix(
        _xywh(truth.boxes_xyxy), _xywh(seen.boxes_xyxy), max_iou=1 - MIN_IOU
    )
    distances = np.reshape(distances, (len(truth.ids), len(seen.ids)))
    accumulator.update(truth.ids.tolist(), seen.ids.tolist(), distances, frameid=index)


def _xywh(boxes_xyxy: Boxes) -> Boxes:
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def _with_ratios(rows: list[Row]) -> list[Row]:
    whole = next((row.cpu_ms_per_frame for row in rows if row.strategy == "whole-frame"), None)
    if whole is None:
        return rows
    return [
        msgspec.structs.replace(row, cpu_to_whole_frame=round(row.cpu_ms_per_frame / whole, 3))
        for row in rows
    ]


def plot(report: AccuracyReport, path: Path) -> None:
    """Recall over invocations, precision beside it; the format is the file's suffix."""
    figure_class = needs("matplotlib.figure").Figure
    figure = figure_class(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    at = [max(row.invocations_per_frame, 0.01) for row in report.rows]
    axes.scatter(at, [row.recall for row in report.rows], label="recall")
    axes.scatter(at, [row.precision for row in report.rows], label="precision", marker="x")
    for x, row in zip(at, report.rows, strict=True):
        axes.annotate(row.strategy, (x, row.recall), (4, 6), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set(xlabel="invocations per frame", ylabel=f"at IoU {report.min_iou}", ylim=(0, 1))
    axes.set_title(f"{report.video}, {report.model}", fontsize=10)
    axes.legend(loc="lower right")
    figure.savefig(path)
