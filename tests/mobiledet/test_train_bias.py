"""Bias correction of an int8 file, on a real conversion. Needs TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: nothing was converted")

from edge.vision.detector.runtime import open_interpreter
from mobiledet import bias
from mobiledet.blocks import FloatBlocks
from mobiledet.design import Design
from mobiledet.network import build
from mobiledet.quantize import normalized, to_float, to_int8
from mobiledet.tensorflow import tf

SIZE = 64


@pytest.fixture(scope="module")
def canvases() -> list[np.ndarray]:
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (24, 6, 6, 3), np.uint8)
    return [np.repeat(np.repeat(c, 11, 0), 11, 1)[:SIZE, :SIZE] for c in coarse]


@pytest.fixture(scope="module")
def pair(canvases) -> tuple[bytes, bytes]:
    """The int8 and the float32 flatbuffer of a small network."""
    tf().keras.utils.set_random_seed(3)
    model = build(Design(labels=("a", "b"), size_px=SIZE, alpha=0.125), FloatBlocks())
    for layer in model.layers:  # statistics as after training
        if "normalized" in layer.name:
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma * 1.3, beta + 0.2, mean + 0.1, variance * 0.7])
        elif layer.name.startswith(("logits", "codes")) and len(layer.weights) == 2:
            kernel, _ = layer.get_weights()
            random = np.random.default_rng(5)
            layer.set_weights([random.normal(0, 3, kernel.shape), np.ones(kernel.shape[-1])])
    return to_int8(model, canvases), to_float(model)


def outputs(flatbuffer: bytes, canvases: list[np.ndarray]) -> list[np.ndarray]:
    """Real values of boxes and scores, in order of columns, for all canvases."""
    interpreter = open_interpreter(flatbuffer, threads=1)
    (image,) = interpreter.get_input_details()
    results = []
    for canvas in canvases:
        quantized = image["dtype"] == np.int8
        value = (canvas ^ 0x80).view(np.int8) if quantized else normalized(canvas)
        interpreter.tensor(image["index"])()[:] = value[None]
        interpreter.invoke()
        row = []
        for detail in sorted(interpreter.get_output_details(), key=lambda d: d["shape"][-1]):
            raw = np.asarray(interpreter.get_tensor(detail["index"]), np.float32)
            scale, zero = detail["quantization"]
            row.append(((raw - zero) * scale if quantized else raw).ravel())
        results.append(row)
    return [np.stack([row[i] for row in results]) for i in range(2)]


def shifted(flatbuffer: bytes, layer: int, steps: int) -> bytes:
    """The flatbuffer with the biases of a convolution moved by steps of its output."""
    model = bias._unpacked(flatbuffer)
    graph = model.subgraphs[0]
    convolution = bias._convolutions(model)[layer]
    tensor = graph.tensors[convolution.inputs[2]]
    step = graph.tensors[convolution.outputs[0]].quantization.scale[0]
    buffer = model.buffers[tensor.buffer]
    moved = np.frombuffer(bytes(buffer.data), np.int32) + np.round(
        steps * step / np.asarray(tensor.quantization.scale)
    ).astype(np.int32)
    buffer.data = np.frombuffer(moved.astype("<i4").tobytes(), np.uint8)
    return bias._packed(model)


def distance(flatbuffer: bytes, floating: bytes, canvases: list[np.ndarray]) -> float:
    """Mean difference of all outputs, in absolute values."""
    ours, theirs = outputs(flatbuffer, canvases), outputs(floating, canvases)
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))


# One of the extra layers, and two of the scores: more steps would saturate the second.
@pytest.mark.parametrize(("layer", "steps"), [(24, 40), (37, 12), (-1, 40)])
def test_biases_that_were_moved_come_back(pair, canvases, layer, steps):
    quantized, floating = pair
    spoilt = shifted(quantized, layer, steps)
    before, good = distance(spoilt, floating, canvases), distance(quantized, floating, canvases)
    assert before > 1.2 * good
    restored = distance(bias.corrected(spoilt, floating, canvases), floating, canvases)
    assert restored < good


def test_the_correction_changes_biases_alone(pair, canvases):
    quantized, floating = pair
    corrected = bias.corrected(quantized, floating, canvases)
    before, after = bias._unpacked(quantized), bias._unpacked(corrected)
    biases = {
        before.subgraphs[0].tensors[layer.inputs[2]].buffer for layer in bias._convolutions(before)
    }
    changed = {
        number
        for number, (a, b) in enumerate(zip(before.buffers, after.buffers, strict=True))
        if (a.data is None) != (b.data is None)
        or (a.data is not None and bytes(a.data) != bytes(b.data))
    }
    assert changed
    assert changed <= biases
    assert distance(corrected, floating, canvases) < distance(quantized, floating, canvases)


def test_another_network_is_refused(pair, canvases):
    quantized, _ = pair
    model = build(Design(labels=("a", "b"), size_px=SIZE, alpha=0.25), FloatBlocks())
    with pytest.raises(ValueError, match="convolutions are not the"):
        bias.corrected(quantized, to_float(model), canvases)


def test_values_that_int8_cannot_hold_do_not_count():
    """A range may have been cut on purpose: what is outside it is no error of the rounding."""
    expected = bias._Expected()
    values = np.array([-9.0, 0.5, 1.0, 7.0], np.float32).reshape(1, 4, 1, 1)
    expected.add(values, (values > -3) & (values < 6))
    assert (expected.total.tolist(), expected.count.tolist()) == ([1.5], [2])
    ours = np.array([-3.0, 0.25, 1.0, 6.0], np.float32).reshape(1, 4, 1, 1)
    assert expected.counted(0, ours).tolist() == [1.25]


def test_the_range_of_a_layer_is_that_of_its_int8_output(pair, canvases):
    model = bias._unpacked(pair[0])
    layers = bias._convolutions(model)
    ranges = bias._ranges(model, layers)
    assert all(low <= 0 < high for low, high in ranges)
    assert ranges[0][0] == 0  # ReLU6
    assert 0.5 < ranges[0][1] <= 6.05
    (values,) = next(bias._outputs(model, [layers[37]], canvases))
    low, high = ranges[37]
    assert low <= values.min() < values.max() <= high
