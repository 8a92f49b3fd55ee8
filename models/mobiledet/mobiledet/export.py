"""Makes model files from a training run: float32, and int8 in three ways.

The daemon's detector measures each of them, so that the figures are those of the file itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.vision.detector import Detector
from edge.vision.detector.model_file import DetectorSpec, attach
from mobiledet.bias import corrected
from mobiledet.blocks import FloatBlocks
from mobiledet.cost import macs_by_layer, parameters
from mobiledet.dataset import Dataset
from mobiledet.design import BOX_SCALES, Design
from mobiledet.evaluation import Looking, Progress, Report, evaluate
from mobiledet.fake_quantized import FakeQuantizedBlocks, twin_of
from mobiledet.heads import head_of
from mobiledet.latency import latencies_ms
from mobiledet.looks import Samples, measured_looks
from mobiledet.models import open_model
from mobiledet.network import float_network, for_daemon, trained_network
from mobiledet.quantize import Canvas, normalized, to_float, to_int8
from mobiledet.run import Run, load_checkpoint
from mobiledet.training import make_optimizer, prepare, take_steps

# TensorFlow's guide to post-training quantization takes 100 to 500 samples.
CALIBRATION_CANVASES = 128
TUNING_RATE = 2e-4  # a tenth of the training's rate, as the weights are nearly right already
CORRECTION_CANVASES = 32  # of them; at 20, a map of one cell has enough values for a mean
FLOAT, CALIBRATED = "float", "int8, post-training"
CORRECTED, TUNED = "int8, bias-corrected", "int8, quantization-aware"


class Variant(msgspec.Struct, frozen=True):
    """One kind of file made of the run, and its figures."""

    kind: str
    size_bytes: int
    latency_ms: float
    report: Report


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a model card. chosen: the kind that `export` writes."""

    mega_macs: float
    parameters: int
    training_cpu_s: float
    variants: tuple[Variant, ...]
    chosen: str
    reference: str
    reference_latency_ms: float


def canvases(dataset: Dataset, size_px: int, count: int = CALIBRATION_CANVASES) -> list[Canvas]:
    """Up to `count` inputs as the daemon makes them, from pictures spread over the dataset."""
    step = max(1, len(dataset.pictures) // count)

    def all_of_them() -> Iterable[Canvas]:
        for number, picture in enumerate(dataset.pictures[::step]):
            for _, canvas in measured_looks(picture, picture.rgb(), number, size_px):
                yield canvas.copy()

    return list(islice(all_of_them(), count))


def tune(twin: Any, run: Run, dataset: Dataset, steps: int, progress: Progress) -> None:
    """Takes `steps` of quantization-aware training of a model's twin."""
    plan = msgspec.structs.replace(
        run.training,
        steps=steps,
        seed=run.training.seed + 1,  # other batches than those of the training
        learning_rate=TUNING_RATE,
        freeze_steps=0,
    )
    take_steps(
        twin,
        make_optimizer(twin, TUNING_RATE, steps),
        run.design,
        plan,
        Samples(dataset, run.design.size_px),
        range(steps),
        lambda done, _loss: progress(done, steps),
    )


def flatbuffers(
    folder: Path, run: Run, training: Dataset, tuning_steps: int, progress: Progress
) -> dict[str, bytes]:
    """The flatbuffers by kind, without the quantization-aware one if `tuning_steps` is 0.

    The corrected one is the calibrated one with other biases.
    """
    prepare(run.training.seed)
    model = trained_network(folder, run.design)
    calibration = canvases(training, run.design.size_px)
    twin = twin_of(model, run.design, normalized(np.stack(calibration)))
    whole = for_daemon(model, run.design, FloatBlocks())
    made = {FLOAT: to_float(whole), CALIBRATED: int8_of(twin, run.design)}
    some = calibration[:: -(-len(calibration) // CORRECTION_CANVASES)]
    made[CORRECTED] = corrected(made[CALIBRATED], made[FLOAT], some)
    if tuning_steps:
        tune(twin, run, training, tuning_steps, progress)
        made[TUNED] = int8_of(twin, run.design)
    return made


def int8_of(twin: Any, design: Design) -> bytes:
    """The int8 file of a twin, which holds the ranges."""
    return to_int8(for_daemon(twin, design, FakeQuantizedBlocks()), [])


def measured(
    folder: Path,
    run: Run,
    made: dict[str, bytes],
    held_out: Dataset,
    looking: Looking,
    reference: tuple[str, bytes],
    progress: Progress,
) -> Figures:
    """Measures all kinds. reference: name and flatbuffer of a model that is timed with them."""
    reports = {
        kind: evaluate(opened(flatbuffer, run.design), held_out, looking, progress)
        for kind, flatbuffer in made.items()
    }
    *made_ms, reference_ms = latencies_ms([*made.values(), reference[1]])
    variants = tuple(
        Variant(kind, len(made[kind]), round(taken_ms, 2), reports[kind])
        for kind, taken_ms in zip(made, made_ms, strict=True)
    )
    network = float_network(run.design)
    return Figures(
        mega_macs=round(sum(macs_by_layer(network).values()) / 1e6, 1),
        parameters=parameters(network),
        training_cpu_s=round(load_checkpoint(folder).cpu_s, 1),
        variants=variants,
        chosen=max((k for k in made if k != FLOAT), key=lambda kind: reports[kind].map),
        reference=reference[0],
        reference_latency_ms=round(reference_ms, 2),
    )


def write(path: Path, flatbuffer: bytes, design: Design, licence: str) -> None:
    """Writes the file that the daemon runs, with labels and anchors inside."""
    spec = DetectorSpec(
        name=path.stem,
        licence=licence,
        box_scales=BOX_SCALES,
        score="none" if design.has_objectness else "sigmoid",
        first_class_column=design.first_class_column,
    )
    attach(path, flatbuffer, labels=design.labels, spec=spec, anchors=head_of(design).anchors)


def opened(flatbuffer: bytes, design: Design) -> Detector:
    """The daemon's detector for a model that has no file yet."""
    with tempfile.TemporaryDirectory(prefix="edge-train-") as folder:
        path = Path(folder, "model.tflite")
        write(path, flatbuffer, design, "")
        return open_model(str(path))
