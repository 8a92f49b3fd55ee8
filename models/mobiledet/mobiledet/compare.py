"""Compares kinds of networks: their cost, and their quality after the same training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from mobiledet.blocks import FloatBlocks
from mobiledet.cost import macs_by_layer, parameters
from mobiledet.dataset import Dataset
from mobiledet.evaluation import Report, evaluate
from mobiledet.export import canvases, opened
from mobiledet.latency import latencies_ms
from mobiledet.looks import Samples
from mobiledet.network import build
from mobiledet.quantize import Canvas, to_int8
from mobiledet.run import Run
from mobiledet.training import make_optimizer, prepare, take_steps

BACKBONES: tuple[Literal["mobilenet_v1", "fire"], ...] = ("mobilenet_v1", "fire")
EXTRAS: tuple[Literal["depthwise", "ordinary"], ...] = ("depthwise", "ordinary")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one kind. All but the counts were measured on its int8 file."""

    backbone: str
    extra: str
    mega_macs: float
    mega_parameters: float
    size_bytes: int
    latency_ms: float
    report: Report


def compare(run: Run, training: Dataset, held_out: Dataset, progress: Progress) -> Sequence[Row]:
    """Trains each kind with the settings of `run`: the same seed and the same batches.

    progress: called with the kind's name, the steps done, and all steps.
    """
    kinds = list(_kinds(run))
    calibration = canvases(training, run.design.size_px)
    made, reports = [], []
    for kind in kinds:
        flatbuffer = _trained(kind, training, calibration, progress)
        made.append(flatbuffer)
        detector = opened(flatbuffer, kind.design)
        reports.append(evaluate(detector, held_out, "regions", lambda _done, _total: None))
    taken = latencies_ms(made)
    return [
        Row(
            kind.design.backbone,
            kind.design.extra,
            *_cost(kind),
            len(flatbuffer),
            latency,
            report,
        )
        for kind, flatbuffer, latency, report in zip(kinds, made, taken, reports, strict=True)
    ]


def _kinds(run: Run) -> Iterator[Run]:
    for backbone in BACKBONES:
        for extra in EXTRAS:
            design = msgspec.structs.replace(run.design, backbone=backbone, extra=extra)
            yield msgspec.structs.replace(run, design=design)


def _cost(run: Run) -> tuple[float, float]:
    model = build(run.design, FloatBlocks())
    return sum(macs_by_layer(model).values()) / 1e6, parameters(model) / 1e6


def _trained(run: Run, training: Dataset, calibration: list[Canvas], progress: Progress) -> bytes:
    plan, name = run.training, f"{run.design.backbone}, {run.design.extra}"
    prepare(plan.seed)
    model = build(run.design, FloatBlocks())
    take_steps(
        model,
        make_optimizer(model, plan.learning_rate, plan.steps),
        run.design,
        plan,
        Samples(training, run.design.size_px),
        range(plan.steps),
        lambda done, _loss: progress(name, done, plan.steps),
    )
    return to_int8(model, calibration)
