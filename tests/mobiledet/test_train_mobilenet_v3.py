"""MobileNet v3: its features, and its int8 files by both ways. Needs TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: no network was built")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.backbone import BACKBONES
from mobiledet.blocks import FloatBlocks
from mobiledet.design import Design
from mobiledet.fake_quantized import twin_of
from mobiledet.network import float_network
from mobiledet.quantize import to_int8
from mobiledet.tensorflow import tf
from tests.support.training import is_whole_in_xnnpack


@pytest.mark.parametrize(
    ("name", "alpha", "channels"),
    [
        ("mobilenet_v3_large", 1.0, (672, 480)),
        ("mobilenet_v3_small", 0.5, (144, 144)),
    ],
)
def test_the_features_have_the_published_sizes(name, alpha, channels):
    blocks = FloatBlocks()
    image = blocks.image(96)
    stride_16, stride_32 = BACKBONES[name](blocks, image, alpha)
    assert stride_16.shape[1:] == (6, 6, channels[0])
    assert stride_32.shape[1:] == (3, 3, channels[1])


def test_a_range_is_cut_where_a_small_share_suppresses_the_largest_values():
    from mobiledet.gate_ranges import best_factor

    values = np.random.default_rng(0).uniform(0, 10, (2, 8, 8, 4)).astype(np.float32)
    shares = np.ones((2, 1, 1, 4), np.float32)
    assert best_factor(values, shares, 0, 10) == 1
    values[..., 3] *= 10
    assert best_factor(values, shares, 0, 100) == 1
    shares[..., 3] = 1e-5
    assert best_factor(values, shares, 0, 100) == 0.125


def test_filters_are_rounded_to_eights_and_never_far_down():
    from mobiledet.backbone_v3 import divisible

    assert [divisible(x) for x in (1, 8, 11, 12, 72 * 0.25, 10.9, 72 / 4, 120 / 4)] == [
        8, 8, 16, 16, 24, 16, 24, 32,
    ]  # fmt: skip
    assert all(divisible(x) >= 0.9 * x for x in range(1, 500))


@pytest.fixture(scope="module")
def pair():
    """A float network as after training, its inputs and its int8 twin."""
    tf().keras.utils.set_random_seed(3)
    design = Design(labels=("a", "b"), size_px=64, backbone="mobilenet_v3_small", alpha=0.25)
    model = float_network(design)
    random = np.random.default_rng(4)
    for layer in model.layers:
        if layer.name.endswith(".normalized"):
            weights = layer.get_weights()
            gamma, beta, mean, variance = (w + random.uniform(0.1, 0.4, w.shape) for w in weights)
            layer.set_weights([gamma, beta, mean, variance - 0.5])
        elif layer.weights and layer.name[:-1] in ("codes", "logits"):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * 50, bias])  # so that outputs differ by many levels
    canvases = np.random.default_rng(2).integers(0, 256, (8, 64, 64, 3), np.uint8)
    images = canvases / np.float32(127.5) - 1
    twin = twin_of(model, design, images)
    return model, canvases, images, twin, to_int8(twin, [])


def test_the_twin_gives_nearly_the_output_of_the_float_network(pair):
    model, _, images, twin, _ = pair
    for exact, other in zip(model(images), twin(images), strict=True):
        assert np.abs(exact - other).mean() < 0.03 * float(np.ptp(exact))


def test_xnnpack_takes_the_whole_int8_file_which_gives_nearly_the_floats_output(pair):
    model, canvases, images, _, flatbuffer = pair
    interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    (taken,), given = interpreter.get_input_details(), interpreter.get_output_details()
    assert is_whole_in_xnnpack(interpreter)
    interpreter.set_tensor(taken["index"], (canvases[:1].astype(np.int16) - 128).astype(np.int8))
    interpreter.invoke()
    for exact in (np.asarray(x)[:1] for x in model(images, training=False)):
        (detail,) = (x for x in given if tuple(x["shape"]) == exact.shape)
        scale, zero = detail["quantization"]
        got = (interpreter.get_tensor(detail["index"]).astype(np.float32) - zero) * scale
        assert np.ptp(exact) > 20 * scale
        assert np.abs(exact - got).mean() < 0.03 * float(np.ptp(exact))


def test_the_share_of_hard_swish_uses_all_levels_of_its_int8_tensor(pair):
    """The converter's own calibration would give it the range of the product."""
    interpreter = Interpreter(
        model_content=pair[-1],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    steps = [
        x["quantization"][0]
        for x in interpreter.get_tensor_details()
        if ".shifted" in x["name"] and "Add" in x["name"]
    ]
    assert len(steps) > 10
    assert max(steps) <= 6.001 / 255
