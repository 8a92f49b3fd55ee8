"""Accuracy and cost of the pipeline and of simpler strategies, against ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

MIN_IOU = 0.5  # as in MOTChallenge
Progress = Callable[[str, int, int | None], None]


class Row(msgspec.Struct, frozen=True):
    """The result of one strategy over all frames that count.

    cpu_to_whole_frame: CPU time relative to that of the strategy `whole-frame`.
    """

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
    """All rows of one run, with the video and the model."""

    video: str
    model: str
    label: str
    frames: int
    min_iou: float
    rows: tuple[Row, ...]


@dataclass(slots=True)
class _Played:
    """Sums of one strategy over the frames that count. accumulator: of motmetrics."""

    accumulator: Any
    frames: int = 0
    invocations: int = 0
    cpu_s: float = 0.0


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

    label: the model's name for the objects of the ground truth. Frames before `first_frame` are
    played too, so that the background is learnt and tracks exist. Raises EdgeError.
    """
    known = strategies()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PermanentError(f"strategy {unknown[0]}: expected one of {', '.join(known)}")
    needs("motmetrics")
    truth = load_ground_truth(ground_truth)
    detector = Detector(settings.model, find_model(settings.model.file))
    if label not in detector.labels:
        raise PermanentError(f"label {label}: expected one of {', '.join(detector.labels)}")
    settings = msgspec.structs.replace(
        settings, source=msgspec.structs.replace(settings.source, uri=str(video), fast=True)
    )
    rows, frames = [], 0
    for name in names:
        played = _play(settings, detector, truth, name, label, progress, first_frame)
        rows.append(_row(name, played))
        frames = played.frames
    return AccuracyReport(
        video.name, detector.name, label, frames, MIN_IOU, tuple(_with_ratios(rows))
    )


def _play(
    settings: Settings,
    detector: Detector,
    truth: dict[int, Objects],
    name: str,
    label: str,
    progress: Progress,
    first_frame: int,
) -> _Played:
    """Plays all frames of a video through one strategy."""
    motmetrics = needs("motmetrics")
    played = _Played(motmetrics.MOTAccumulator(auto_id=False))
    source = open_source(settings.source, recording=True)
    info = source.open()
    step = strategies()[name](settings, detector, info, label)
    try:
        while (frame := source.read()) is not None:
            start_s = time.process_time()
            result = step(frame)
            taken_s = time.process_time() - start_s
            progress(name, frame.index + 1, info.frame_count)
            if frame.index < first_frame:
                continue
            played.frames += 1
            played.cpu_s += taken_s
            played.invocations += result.invocations
            objects = truth.get(frame.index, NONE)
            _accumulate(played.accumulator, motmetrics, objects, result.objects, frame.index)
    finally:
        source.close()
    if played.frames == 0:
        raise PermanentError(f"source {settings.source.name}: no frames from {first_frame} on")
    return played


def _row(name: str, played: _Played) -> Row:
    metrics = (
        needs("motmetrics")
        .metrics.create()
        .compute(
            played.accumulator,
            metrics=["precision", "recall", "num_switches", "mota", "idf1"],
            return_dataframe=False,
        )
    )
    metrics = {key: float(np.nan_to_num(value)) for key, value in metrics.items()}
    precision, recall = metrics["precision"], metrics["recall"]
    both = precision + recall
    return Row(
        strategy=name,
        invocations_per_frame=round(played.invocations / played.frames, 3),
        precision=round(precision, 4),
        recall=round(recall, 4),
        f1=round(2 * precision * recall / both if both else 0.0, 4),
        identity_switches=int(metrics["num_switches"]),
        mota=round(metrics["mota"], 4),
        idf1=round(metrics["idf1"], 4),
        cpu_ms_per_frame=round(played.cpu_s / played.frames * 1e3, 3),
    )


def _accumulate(
    accumulator: Any, motmetrics: Any, truth: Objects, reported: Objects, index: int
) -> None:
    distances = motmetrics.distances.iou_matrix(
        _xywh(truth.boxes_xyxy), _xywh(reported.boxes_xyxy), max_iou=1 - MIN_IOU
    )
    distances = np.reshape(distances, (len(truth.ids), len(reported.ids)))
    accumulator.update(truth.ids.tolist(), reported.ids.tolist(), distances, frameid=index)


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
    """Plots recall and precision over invocations; the file's suffix sets the format."""
    figure_class = needs("matplotlib.figure").Figure
    figure = figure_class(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    invocations = [max(row.invocations_per_frame, 0.01) for row in report.rows]
    axes.scatter(invocations, [row.recall for row in report.rows], label="recall")
    axes.scatter(invocations, [row.precision for row in report.rows], label="precision", marker="x")
    for x, row in zip(invocations, report.rows, strict=True):
        axes.annotate(row.strategy, (x, row.recall), (4, 6), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set(xlabel="invocations per frame", ylabel=f"at IoU {report.min_iou}", ylim=(0, 1))
    axes.set_title(f"{report.video}, {report.model}", fontsize=10)
    axes.legend(loc="lower right")
    figure.savefig(path)
