"""The network, its loss, its layers and its conversion. Needs TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: no network was built")

from edge.vision.detector import read_model
from mobiledet.blocks import FloatBlocks
from mobiledet.design import Design
from mobiledet.export import opened, write
from mobiledet.heads import head_of
from mobiledet.loss import detection_loss
from mobiledet.models import open_model
from mobiledet.network import build
from mobiledet.quantize import to_float, to_int8
from mobiledet.tensorflow import tf


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


def test_a_picture_without_an_object_teaches_by_its_ten_most_wrong_anchors():
    anchors = 40
    logits = np.full((1, anchors, 2), -20.0, np.float32)
    logits[0, :12, 1] = np.linspace(1.0, 2.1, 12)  # a false alarm: ten of these twelve count
    codes = tf().zeros((1, anchors, 4))
    classes = np.zeros((1, anchors), np.int32)
    location, classification = detection_loss(
        codes, tf().constant(logits), codes, tf().constant(classes), 0, "hard-negative"
    )
    assert float(location) == 0
    wanted = np.log1p(np.exp(logits[0, 2:12, 1])).sum()
    assert float(classification) == pytest.approx(wanted, rel=1e-4)


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
        design = Design(labels=("a",), size_px=64)
        model = build(design, FloatBlocks())
        optimizer = make_optimizer(model, 1e-3, 100, scaled=True)
        step = make_step(model, optimizer, head_of(design))
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
