"""The model's input: range, type, axes, channels and size, from the file or by a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config.schema import DEFAULT_MODEL, ModelSettings
from edge.errors import ModelError
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from tests.support import tflite
from tests.support.metadata import tflite_metadata

# All levels in all channels, in a picture of 32x24 whose channels differ.
LEVELS = np.stack([np.arange(768) % 256, (np.arange(768) + 85) % 256, (np.arange(768) + 170) % 256],
                  axis=1).reshape(24, 32, 3).astype(np.uint8)  # fmt: skip
SIZE = (32, 24)
END_TO_END = np.zeros((1, 300, 6), np.float32)
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


def opened(path: Path, model: bytes, **settings) -> Detector:
    return Detector(ModelSettings(**settings), tflite.saved(path / "m.tflite", model, ["a", "b"]))


def written(one: Detector, canvas: np.ndarray = LEVELS) -> np.ndarray:
    """The input tensor after a picture was written, with its batch."""
    one.detect(canvas)
    interpreter = one._interpreter
    return interpreter.get_tensor(interpreter.get_input_details()[0]["index"])


def ssd_like(**options) -> bytes:
    """A graph whose operator tells nothing about a float input."""
    boxes, scores = np.zeros((4, 4), np.float32), np.zeros((4, 3), np.float32)
    anchors = np.full((4, 4), 0.5, np.float32)
    return tflite.postprocess_model(boxes, scores, anchors, size=SIZE, **options)


@pytest.mark.parametrize(
    ("kind", "scale", "zero", "name"),
    [
        ("int8", 2 / 255, -1, "-1..1"), ("int8", 0.0078431, -1, "-1..1"),
        ("int8", 0.0078125, 0, "-1..1"), ("uint8", 0.0078125, 128, "-1..1"),
        ("uint8", 1 / 127.5, 127, "-1..1"), ("int8", 1 / 255, -128, "0..1"),
        ("uint8", 0.003921569, 0, "0..1"), ("int8", 1.0, -128, "0..255"),
        ("uint8", 1.0, 0, "0..255"), ("uint8", 0.0, 0, "0..255"),
        ("uint8", 0.0186584, 114, "imagenet"),
    ],
)  # fmt: skip
def test_the_range_of_bytes_comes_from_their_scale_and_all_levels_stay_apart(
    tmp_path: Path, kind: str, scale: float, zero: int, name: str
) -> None:
    one = opened(tmp_path, ssd_like(quantized=(kind, scale, zero), input_name="x"))
    assert one.model.input.range.name == name
    values = written(one)[0].astype(int)
    if name == "imagenet":
        real = (LEVELS - MEAN) / STD
        assert np.abs((values - zero) * scale - real).max() <= 1.5 * scale
    else:
        assert np.array_equal(values, LEVELS.astype(int) - (128 if kind == "int8" else 0))


def test_the_default_model_receives_all_256_levels() -> None:
    one = Detector(ModelSettings(), find_model(DEFAULT_MODEL))
    canvas = np.resize(np.arange(256, dtype=np.uint8), (300, 300, 3))
    assert np.array_equal(written(one, canvas)[0], (canvas ^ 0x80).view(np.int8))


def test_a_calibrated_scale_is_quantized_to_the_nearest_step(tmp_path: Path) -> None:
    """Calibration pictures without black or white give a range that is a little smaller."""
    one = opened(tmp_path, ssd_like(quantized=("int8", 0.0073, -3), input_name="x"))
    assert one.model.input.range.name == "-1..1"
    real = LEVELS / 127.5 - 1
    clipped = np.clip(real, (-128 + 3) * 0.0073, (127 + 3) * 0.0073)
    assert np.abs((written(one)[0] + 3.0) * 0.0073 - clipped).max() <= 0.0073 / 2 + 1e-6


@pytest.mark.parametrize(
    ("mean", "std", "name"),
    [([127.5], [127.5], "-1..1"), ([0.0], [255.0], "0..1"), ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0],
     "0..255"), (MEAN.tolist(), STD.tolist(), "imagenet"), ([100.0], [50.0], "-2..3.1")],
)  # fmt: skip
def test_the_range_of_floats_comes_from_their_normalization(
    tmp_path: Path, mean: list[float], std: list[float], name: str
) -> None:
    metadata = {"TFLITE_METADATA": tflite_metadata(mean=mean, std=std)}
    one = opened(tmp_path, tflite.constant_model([END_TO_END], SIZE, metadata=metadata))
    assert one.model.input.range.name == name
    expected = (LEVELS - np.array(mean)) / np.array(std)
    assert np.abs(written(one)[0] - expected).max() < 1e-4


def test_floats_of_an_unknown_network_raise_a_question_that_a_setting_answers(
    tmp_path: Path,
) -> None:
    model = ssd_like(input_name="serving_default_input:0")
    with pytest.raises(ModelError, match=r"m\.tflite: the file doesn't tell the range .* set "
                                         r"model\.input_range"):  # fmt: skip
        opened(tmp_path, model)
    for name, expected in (("-1..1", LEVELS / 127.5 - 1), ("0..1", LEVELS / 255),
                           ("0..255", LEVELS), ("imagenet", (LEVELS - MEAN) / STD)):  # fmt: skip
        assert np.abs(written(opened(tmp_path, model, input_range=name))[0] - expected).max() < 1e-4


def test_a_mobilenet_takes_minus_one_to_one_as_it_was_trained(tmp_path: Path) -> None:
    one = opened(tmp_path, ssd_like())
    assert np.abs(written(one)[0] - (LEVELS / 127.5 - 1)).max() < 1e-6


def test_a_scale_that_fits_no_range_raises_a_question(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its input holds -6\.5 to 6\.45, and .*input_range"):
        opened(tmp_path, ssd_like(quantized=("int8", 0.0508, 0), input_name="x"))


def test_channels_in_the_other_order(tmp_path: Path) -> None:
    model = tflite.constant_model([END_TO_END], SIZE)
    assert np.abs(written(opened(tmp_path, model, channels="bgr"))[0] * 255 -
                  LEVELS[..., ::-1]).max() < 1e-3  # fmt: skip
    imagenet = opened(tmp_path, model, channels="bgr", input_range="imagenet")
    assert np.abs(written(imagenet)[0] - ((LEVELS - MEAN) / STD)[..., ::-1]).max() < 1e-4


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_planes_of_channels_and_pictures_without_a_batch(tmp_path: Path, kind: str) -> None:
    quantized: dict[str, Any] = {"scale": 1 / 255, "zero": -128} if kind == "int8" else {}
    offset, factor = (128, 1) if kind == "int8" else (0, 255)
    for shape, axes in (((1, 3, 24, 32), "NCHW"), ((24, 32, 3), "HWC"), ((4, 24, 32, 3), "NHWC")):
        model = tflite.constant_model([END_TO_END], kind=kind, shape=shape, **quantized)
        one = opened(tmp_path, model)
        assert (one.model.input.geometry.axes, one.input_size) == (axes, SIZE)
        values = written(one).astype(np.float64) * factor + offset
        picture = values.reshape(values.shape[-3:])
        picture = picture.transpose(1, 2, 0) if axes == "NCHW" else picture
        assert np.abs(picture - LEVELS).max() < 1e-3


@pytest.mark.parametrize(
    "shape", [(1, 24, 32, 1), (1, 1, 24, 32), (1, 24, 32), (24, 32), (24, 32, 1)]
)
def test_a_grey_input(tmp_path: Path, shape: tuple[int, ...]) -> None:
    one = opened(tmp_path, tflite.constant_model([END_TO_END], shape=shape))
    assert one.input_size == SIZE
    grey = LEVELS @ np.array([0.299, 0.587, 0.114])
    assert np.abs(written(one).reshape(24, 32) * 255 - grey).max() < 0.51


def test_a_batch_becomes_one(tmp_path: Path) -> None:
    one = opened(tmp_path, tflite.constant_model([END_TO_END], shape=(4, 24, 32, 3)))
    assert written(one).shape == (1, 24, 32, 3)


def test_a_free_size_is_asked_for_and_set(tmp_path: Path) -> None:
    model = tflite.constant_model([END_TO_END], shape=(1, 1, 1, 3), signature=(-1, -1, -1, 3))
    with pytest.raises(ModelError, match=r"no fixed size: set model\.input_px"):
        opened(tmp_path, model)
    assert opened(tmp_path, model, input_px=160).input_size == (160, 160)
    facts = str({"imgsz": [224, 224], "names": {0: "a", 1: "b"}})
    assert opened(tmp_path, tflite.with_members(model, temp_meta_txt=facts)).input_size == (
        224,
        224,
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 24, 32, 4), "shape 1x24x32x4, not that of one picture"), ((1, 768), "not that of|768"),
     ((1, 4, 4, 3), "4x4 px"), ((1, 16000), "16000"), ((), "not that of one picture")],
)  # fmt: skip
def test_inputs_that_are_no_picture_are_refused(
    tmp_path: Path, shape: tuple[int, ...], expected: str
) -> None:
    graph = tflite.GraphBuilder()
    given, made = graph.tensor(shape), graph.tensor((1, 300, 6), data=END_TO_END)
    with pytest.raises(ModelError, match=f"m.tflite: .*({expected})"):
        opened(tmp_path, graph.build([given], [made]))


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    graph = tflite.GraphBuilder()
    inputs = [graph.tensor((1, 24, 32, 3)), graph.tensor((1, 2))]
    model = graph.build(inputs, [graph.tensor((1, 300, 6), data=END_TO_END)])
    with pytest.raises(ModelError, match="it has 2 inputs; a detector has one, the picture"):
        opened(tmp_path, model)


def test_another_type_of_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its input is int64"):
        opened(tmp_path, tflite.constant_model([END_TO_END], SIZE, kind="int64"))


def test_what_the_file_or_a_setting_says_against_the_scale_is_a_warning(tmp_path: Path) -> None:
    quantized: dict[str, Any] = {"kind": "int8", "scale": 2 / 255, "zero": -1}
    metadata = {"TFLITE_METADATA": tflite_metadata(mean=[0.0], std=[1.0])}
    model = tflite.constant_model([END_TO_END], SIZE, metadata=metadata, **quantized)
    one = opened(tmp_path, model)
    assert one.model.input.range.name == "-1..1"
    assert "NormalizationOptions say that its input is 0..255, but -1..1" in one.warnings[0]
    plain = tflite.constant_model([END_TO_END], SIZE, **quantized)
    assert opened(tmp_path, plain).warnings == ()
    (warning,) = opened(tmp_path, plain, input_range="0..1").warnings
    assert "model.input_range says that its input is 0..1, but it holds -0.996 to 1" in warning
