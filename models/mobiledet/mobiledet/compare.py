"""Compares kinds of networks: their cost, and their quality after the same training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mobiledet.cost import macs_by_layer, parameters
from mobiledet.dataset import Dataset
from mobiledet.evaluation import Report, evaluate
from mobiledet.export import canvases, int8_of, opened, write
from mobiledet.fake_quantized import twin_of
from mobiledet.heads.shapes import designed
from mobiledet.latency import latencies_ms
from mobiledet.network import float_network
from mobiledet.quantize import normalized
from mobiledet.run import SETTINGS, Run, RunError, create, load
from mobiledet.tensorflow import tf
from mobiledet.training import fit

Progress = Callable[[str, int, int], None]
Images = npt.NDArray[np.float32]
Kind = tuple[str, str, str]  # head, backbone, extra layers


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one kind. All but the counts were measured on its int8 file."""

    head: str
    backbone: str
    extra: str
    mega_macs: float
    mega_parameters: float
    size_bytes: int
    latency_ms: float
    report: Report


@dataclass(frozen=True, slots=True)
class Listeners:
    """Callbacks of a comparison.

    progress: called with a kind's name, the steps done, and all steps. measured: with the name and
    the figures of a kind as soon as it has been trained.
    """

    progress: Progress
    measured: Callable[[str, Report], None]


def kinds_of(
    heads: Sequence[str], backbones: Sequence[str], extras: Sequence[str]
) -> Sequence[Kind]:
    """Every combination."""
    return list(product(heads, backbones, extras))


def compare(
    run: Run,
    kinds: Sequence[Kind],
    training: Dataset,
    held_out: Dataset,
    folder: Path,
    listeners: Listeners,
) -> Sequence[Row]:
    """Trains each kind with the settings of `run`: the same seed and the same batches.

    folder: gets a run for each kind, and its int8 file. A comparison that was interrupted goes on
    from its last checkpoint. Raises RunError if the folder holds a run with other settings.
    """
    calibration = normalized(np.stack(canvases(training, run.design.size_px)))
    runs = list(_runs(run, kinds, training))
    made, reports = [], []
    for one in runs:
        name = name_of(one)
        flatbuffer = _trained(folder / name, one, training, calibration, listeners.progress)
        write(folder / name / f"{name}.tflite", flatbuffer, one.design, "")
        made.append(flatbuffer)
        detector = opened(flatbuffer, one.design)
        reports.append(evaluate(detector, held_out, "regions", lambda _done, _total: None))
        listeners.measured(name, reports[-1])
    return [
        _row(one, flatbuffer, latency, report)
        for one, flatbuffer, latency, report in zip(
            runs, made, latencies_ms(made), reports, strict=True
        )
    ]


def name_of(run: Run) -> str:
    """The name of a kind, which is also that of its folder."""
    return f"{run.design.head}-{run.design.backbone}-{run.design.extra}"


def _runs(run: Run, kinds: Sequence[Kind], training: Dataset) -> Iterator[Run]:
    replace = msgspec.structs.replace
    for head, backbone, extra in kinds:
        design = replace(run.design, backbone=backbone, extra=extra)
        yield replace(run, design=designed(design, head, training))


def _row(run: Run, flatbuffer: bytes, latency_ms: float, report: Report) -> Row:
    model = float_network(run.design)
    return Row(
        head=run.design.head,
        backbone=run.design.backbone,
        extra=run.design.extra,
        mega_macs=sum(macs_by_layer(model).values()) / 1e6,
        mega_parameters=parameters(model) / 1e6,
        size_bytes=len(flatbuffer),
        latency_ms=latency_ms,
        report=report,
    )


def _trained(
    folder: Path, run: Run, training: Dataset, calibration: Images, progress: Progress
) -> bytes:
    if not (folder / SETTINGS).exists():
        create(folder, run)
    elif load(folder) != run:
        raise RunError(f"{folder}: a run with other settings; choose another --out")
    steps = run.training.steps
    model = fit(folder, run, training, lambda done, _loss: progress(folder.name, done, steps))
    flatbuffer = int8_of(twin_of(model, run.design, calibration), run.design)
    tf().keras.backend.clear_session()  # the graphs of a network that is not needed any more
    return flatbuffer
