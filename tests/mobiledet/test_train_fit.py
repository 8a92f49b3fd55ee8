"""From a dataset to a file for the daemon: trains real, small networks. Needs TensorFlow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: nothing was trained")

from edge.errors import PermanentError
from edge.vision.detector import read_model
from mobiledet.blocks import FloatBlocks
from mobiledet.design import Design
from mobiledet.export import opened, write
from mobiledet.loss import detection_loss
from mobiledet.models import open_model
from mobiledet.network import build
from mobiledet.quantize import to_float, to_int8
from mobiledet.run import load, load_checkpoint
from mobiledet.tensorflow import tf
from tests.support import drawn_objects

STEPS = 900
INT8_BOUND = 0.03  # loss of mAP; a real run loses up to a hundredth, but few pictures are coarse


def edge_train(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mobiledet.cli", *map(str, arguments)]


def completed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        edge_train(*arguments), check=False, capture_output=True, text=True, timeout=900
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return drawn_objects.make(tmp_path_factory.mktemp("drawn") / "shapes")


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory) -> Path:
    """A short training of four classes, exported."""
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    fitted = completed(
        "fit", dataset, "--out", folder, "--size-px", 96, "--batch", 16, "--steps", STEPS
    )
    assert fitted.returncode == 0, fitted.stderr
    figures = folder / "figures.json"
    exported = completed("export", folder, "--qat-steps", 60, "--json", figures)
    assert exported.returncode == 0, exported.stderr
    return folder


def test_the_exported_file_finds_the_shapes_in_the_daemons_detector(run):
    path = run / "shapes.tflite"
    detector = open_model(str(path))
    assert detector.labels == drawn_objects.LABELS
    random = np.random.default_rng(77)
    right = 0
    for number in range(20):
        label = drawn_objects.LABELS[number % 4]
        bgr = drawn_objects.background(random)[:96, :96].copy()
        left, top, width, height = drawn_objects.draw(bgr, label, 20, 24, 44)
        detections = detector.detect(np.ascontiguousarray(bgr[:, :, ::-1]))
        if len(detections) and detector.labels[detections.class_ids[0]] == label:
            drawn = (left, top, left + width, top + height)
            right += np.abs(detections.boxes_xyxy[0] - drawn).max() < 8
    assert right >= 15


def test_int8_is_as_good_as_float_by_both_ways(run):
    figures = json.loads((run / "figures.json").read_bytes())
    by_kind = {row["kind"]: row for row in figures["variants"]}
    assert set(by_kind) == {"float", "int8, post-training", "int8, quantization-aware"}
    full = by_kind.pop("float")
    assert full["report"]["map50"] > 0.6
    for row in by_kind.values():
        assert row["report"]["map"] > full["report"]["map"] - INT8_BOUND
        assert row["size_bytes"] < full["size_bytes"] / 2
    assert figures["chosen"] in by_kind


def test_the_card_has_the_measured_figures(run):
    figures = json.loads((run / "figures.json").read_bytes())
    text = (run / "shapes.md").read_text()
    for row in figures["variants"]:
        assert f"| {row['kind']} | {row['report']['map']:.3f} |" in text
    assert "Detects disc, bar, ring, wedge" in text
    assert f"{STEPS} steps of 16, seed 0" in text


def test_a_file_is_evaluated_as_its_run_was(run, dataset, tmp_path):
    out = tmp_path / "figures.json"
    done = completed("evaluate", run / "shapes.tflite", dataset, "--split", "val", "--json", out)
    assert done.returncode == 0, done.stderr
    figures = json.loads((run / "figures.json").read_bytes())
    chosen = next(v for v in figures["variants"] if v["kind"] == figures["chosen"])
    assert json.loads(out.read_bytes())["map"] == pytest.approx(chosen["report"]["map"], abs=1e-4)


def test_a_model_without_the_datasets_classes_is_refused_in_one_sentence(dataset):
    done = completed("evaluate", "person_ssdlite_mobilenet_v2_int8", dataset)
    assert done.returncode == 1
    assert "the model's labels are person: the dataset's disc is missing" in done.stderr
    assert "Traceback" not in done.stderr


def tiny(dataset: Path, folder: Path, *more: object) -> list[str]:
    return edge_train(
        "fit", dataset, "--out", folder, "--size-px", 64, "--batch", 4, "--steps", 120, *more
    )


def test_a_killed_and_resumed_run_ends_like_one_that_was_not_killed(dataset, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    subprocess.run(tiny(dataset, alone), check=True, capture_output=True, timeout=600)
    with subprocess.Popen(tiny(dataset, killed), stderr=subprocess.DEVNULL) as process:
        while not (killed / "checkpoint.npz").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert load_checkpoint(killed).step < 120
    resume = edge_train("fit", "--out", killed, "--resume")
    subprocess.run(resume, check=True, capture_output=True, timeout=600)
    first, second = load_checkpoint(alone), load_checkpoint(killed)
    assert first.step == second.step == 120
    for one, other in zip(first.weights, second.weights, strict=True):
        assert np.array_equal(one, other)
    histories = [(f / "history.csv").read_text().splitlines() for f in (alone, killed)]
    without_time = [[row.rsplit(",", 1)[0] for row in rows] for rows in histories]
    assert without_time[0] == without_time[1]


def test_a_run_is_not_overwritten_and_a_missing_one_is_reported(dataset, run, tmp_path):
    again = completed("fit", dataset, "--out", run)
    assert (again.returncode, "there is a run already" in again.stderr) == (1, True)
    nothing = completed("export", tmp_path)
    assert (nothing.returncode, "not a run of edge-train fit" in nothing.stderr) == (1, True)


@pytest.mark.parametrize("length", [("--epochs", 1), ("--minutes", 0.02)])
def test_the_length_can_be_given_in_epochs_or_minutes(dataset, tmp_path, length):
    out = tmp_path / "run"
    done = completed("fit", dataset, "--out", out, "--size-px", 64, "--batch", 8, *length)
    assert done.returncode == 0, done.stderr
    steps = load(out).training.steps
    assert steps == 7 if length[0] == "--epochs" else 1 <= steps < 400
    assert load_checkpoint(out).step == steps


def test_two_lengths_are_refused(dataset, tmp_path):
    done = completed("fit", dataset, "--out", tmp_path, "--steps", 5, "--epochs", 5)
    assert done.returncode == 2
    assert "--steps and --epochs: give only one of them" in done.stderr


def test_kinds_of_networks_are_compared(dataset):
    done = completed("compare", dataset, "--size-px", 64, "--steps", 5)
    assert done.returncode == 0, done.stderr
    _, *rows = (line.split() for line in done.stdout.splitlines())
    kinds = {(row[0], row[1]): float(row[2]) for row in rows}
    assert set(kinds) == {
        (b, e) for b in ("mobilenet_v1", "fire") for e in ("depthwise", "ordinary")
    }
    for backbone in ("mobilenet_v1", "fire"):
        assert kinds[backbone, "depthwise"] < kinds[backbone, "ordinary"]


@pytest.mark.parametrize("count", [1, 3, 4, 7])
@pytest.mark.parametrize("quantized", [False, True])
def test_the_last_class_is_read_as_the_last_for_any_number_of_classes(count, quantized, tmp_path):
    labels = tuple("abcdefg"[:count])
    design = Design(labels=labels, size_px=64)
    model = build(design, FloatBlocks())
    for layer in model.layers:
        if layer.name.startswith("logits") and len(layer.weights) == 2:
            kernel, bias = layer.get_weights()
            bias = np.full_like(bias, -8.0).reshape(-1, design.columns)
            bias[:, design.first_class_column + count - 1] = 4.0
            layer.set_weights([kernel * 0, bias.ravel()])
    noise = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), np.uint8)
    path = tmp_path / "model.tflite"
    write(path, to_int8(model, list(noise)) if quantized else to_float(model), design, "MIT")
    assert read_model(path).labels == labels
    detections = open_model(str(path)).detect(noise[0])
    assert len(detections) > 0
    assert set(detections.class_ids.tolist()) == {count - 1}
    assert detections.scores[0] == pytest.approx(0.982, abs=0.01)


@pytest.mark.parametrize("kind", ["hard-negative", "focal"])
@pytest.mark.parametrize("first_column", [0, 1])
def test_the_loss_is_least_for_the_right_class_in_the_right_column(kind, first_column):
    classes = np.array([[2, 0, 0, -1]], np.int32)  # class 1, background twice, and ignored
    codes = np.zeros((1, 4, 4), np.float32)
    losses = []
    for column in range(3 + first_column):
        logits = np.full((1, 4, 3 + first_column), -6.0, np.float32)
        logits[0, 0, column] = 6.0
        logits[0, 3] = 50.0  # has no part in the loss, as it is ignored
        location, classification = detection_loss(
            tf().constant(codes),
            tf().constant(logits),
            tf().constant(codes),
            tf().constant(classes),
            first_column,
            kind,
        )
        assert float(location) == 0
        losses.append(float(classification))
    assert int(np.argmin(losses)) == 1 + first_column
    assert min(losses) < 0.05


def test_the_twin_gives_nearly_the_output_of_the_float_network():
    from mobiledet.fake_quantized import twin_of

    tf().keras.utils.set_random_seed(3)
    design = Design(labels=("a", "b"), size_px=64)
    model = build(design, FloatBlocks())
    for layer in model.layers:  # statistics as after training
        if "normalized" in layer.name:
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma * 1.3, beta + 0.2, mean + 0.1, variance * 0.7])
    images = np.random.default_rng(2).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)
    twin = twin_of(model, design, images)
    for exact, other in zip(model(images), twin(images), strict=True):
        level = float(max(exact.numpy().max(), 0) - min(exact.numpy().min(), 0)) / 255
        assert np.abs(exact - other).mean() < 0.03 * float(np.ptp(exact)) + level / 2


@pytest.mark.parametrize("training", [True, False])
def test_the_fused_normalization_is_that_of_keras(training):
    from mobiledet.normalization import normalization_layer

    values = np.random.default_rng(5).normal(2, 3, (8, 16, 16, 4)).astype(np.float32)
    own, reference = (
        normalization_layer()(momentum=0.9),
        tf().keras.layers.BatchNormalization(momentum=0.9),
    )
    outputs = [np.asarray(layer(values, training=training)) for layer in (own, reference)]
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-4
    weights = [[w.numpy() for w in layer.weights] for layer in (own, reference)]
    for one, other in zip(*weights, strict=True):  # the variance is that of a sample: n - 1
        assert one == pytest.approx(other, rel=1e-3)
    assert (np.abs(weights[0][2]).max() > 0.1) == training


@pytest.mark.parametrize("steps", [1, 12, 1500])
def test_the_learning_rate_is_that_of_keras_cosine_decay(steps):
    from mobiledet.learning_rate import WARM_UP, rates, schedule

    warm_up = min(WARM_UP, max(1, steps // 10))
    reference = tf().keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=2e-3, warmup_steps=warm_up
    )
    own = schedule()(rates(2e-3, steps))
    for step in {0, steps // 20, min(warm_up, steps - 1), steps // 2, steps - 1}:
        assert float(own(step)) == pytest.approx(float(reference(step)), abs=1e-8)
    assert float(own(steps + 5)) == float(own(steps - 1))


def test_16_bit_arithmetic_trains_too():
    """Runs a GPU's code on a CPU, which is slow."""
    from mobiledet.training import make_optimizer, make_step

    precision = tf().keras.mixed_precision
    precision.set_global_policy("mixed_float16")
    try:
        model = build(Design(labels=("a",), size_px=64), FloatBlocks())
        optimizer = make_optimizer(model, 1e-3, 100, scaled=True)
        step = make_step(model, optimizer, 0, "hard-negative")
        rows = model.output_shape[0][1]
        images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
        classes = np.zeros((2, rows), np.int32)
        classes[:, 5] = 1
        losses = [
            float(step(images, np.zeros((2, rows, 4), np.float32), classes)[1]) for _ in range(12)
        ]
    finally:
        precision.set_global_policy("float32")
    assert losses[-1] < losses[0]


def test_a_float_model_is_opened_without_a_file():
    design = Design(labels=("a",), size_px=64)
    detector = opened(to_float(build(design, FloatBlocks())), design)
    assert detector.input_size == (64, 64)


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(PermanentError, match="no checkpoint yet"):
        load_checkpoint(tmp_path)
