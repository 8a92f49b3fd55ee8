"""The default model, the runtimes, and decoding of raw SSD outputs."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import DEFAULT_MODEL, ModelSettings
from edge.errors import ModelError, TemporaryError
from edge.vision.detector import Detector, read_model
from edge.vision.detector.catalogue import fetch, find_model, load_catalog
from edge.vision.detector.detector import suppressed
from edge.vision.detector.graph import Tensor
from edge.vision.detector.input import RANGES, input_table
from edge.vision.detector.layouts.ssd import SsdDecoder, decode_boxes, encode_boxes
from edge.vision.detector.model_file import DetectorSpec, attach
from edge.vision.detector.runtime import (
    Interpreter,
    installed_runtimes,
    open_interpreter,
    quantization,
)
from edge.vision.geometry import iou, nms
from edge.vision.types import Detections

MODELS = Path(__file__).resolve().parents[2] / "models"
PERSON = MODELS / f"{DEFAULT_MODEL}.tflite"
COCO_ZIP = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.zip"
SCALES = (10.0, 10.0, 5.0, 5.0)


@pytest.fixture(scope="module")
def canvases(shared_data: Path) -> list[np.ndarray]:
    """20 crops of 300x300 px, evenly spaced over the footage."""
    crops: list[np.ndarray] = []
    with av.open(str(shared_data / "vtest.avi")) as container:
        step = container.streams.video[0].frames // 20
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0 and len(crops) < 20:
                crops.append(frame.to_ndarray(format="rgb24")[138:438, 234:534].copy())
    assert len(crops) == 20
    return crops


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    shared: Path = request.getfixturevalue("shared_models")
    return fetch("coco_ssd_mobilenet_v1", tmp_path_factory.mktemp("models"), shared / COCO_ZIP)


def test_the_default_model_is_the_one_that_its_card_describes() -> None:
    digest = hashlib.sha256(PERSON.read_bytes()).hexdigest()
    assert (MODELS / "SHA256SUMS").read_text().split()[0] == digest
    assert digest in (MODELS / "README.md").read_text()
    model = read_model(PERSON)
    assert model.labels == ("person",)
    assert model.anchors is not None
    assert model.anchors.shape == (1917, 4)


def test_the_default_model_finds_people_and_nothing_on_grey(canvases: list[np.ndarray]) -> None:
    detector = Detector(ModelSettings(), PERSON)
    crops = canvases[::2]
    results = [detector.detect(crop) for crop in crops]
    assert sum(len(r) > 0 for r in results) >= 8
    assert all(((r.boxes_xyxy > -60) & (r.boxes_xyxy < 360)).all() for r in results)
    again = detector.detect(crops[0])
    assert np.array_equal(again.boxes_xyxy, results[0].boxes_xyxy)
    assert len(detector.detect(np.full((300, 300, 3), 127, np.uint8))) == 0


@pytest.mark.parametrize("delegates", [False, True])
def test_both_runtimes_give_the_same_detections(
    canvases: list[np.ndarray], delegates: bool
) -> None:
    """The same kernels give equal results; the fastest kernels differ by their rounding."""
    if installed_runtimes() != ["ai-edge-litert", "tflite-runtime"]:
        pytest.skip("ONE RUNTIME ONLY: tflite-runtime has no wheel for this Python")
    model = read_model(PERSON)
    both = [
        open_interpreter(model.flatbuffer, runtime=name, delegates=delegates)
        for name in installed_runtimes()
    ]
    compared = 0
    for canvas in canvases if delegates else canvases[::2]:  # the plain kernels are slow
        (codes, logits), (other_codes, other_logits) = (raw(one, canvas) for one in both)
        sure = logits[:, 1] > 1  # the zero point is a score of 0.5
        assert np.abs(logits - other_logits)[sure].max(initial=0) <= int(delegates)
        assert np.abs(codes - other_codes)[sure].max(initial=0) <= 2 * delegates  # of 0.009 anchors
        compared += int(sure.sum())
    assert compared > 10


def raw(interpreter: Interpreter, canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantized box codes and logits, (1917, 4) and (1917, 2)."""
    (detail,) = interpreter.get_input_details()
    interpreter.tensor(detail["index"])()[0][:] = (canvas ^ 0x80).view(np.int8)
    interpreter.invoke()
    by_columns = {d["shape"][-1]: d["index"] for d in interpreter.get_output_details()}
    codes, logits = (interpreter.get_tensor(by_columns[n])[0].astype(int) for n in (4, 2))
    return codes, logits


def test_decoding_equals_the_models_own_operator(coco: Path, canvases: list[np.ndarray]) -> None:
    model = read_model(coco)
    interpreter = open_interpreter(model.flatbuffer, threads=2, keep_all=True)
    tensors = {d["name"]: d for d in interpreter.get_tensor_details()}  # type: ignore[attr-defined]
    raw_boxes = next(
        d for n, d in tensors.items() if list(d["shape"]) in ([1, 1917, 4], [1, 1917, 1, 4])
        and ("Squeeze" in n or "box_enc" in n)
    )  # fmt: skip
    raw_scores, raw_anchors = tensors["convert_scores"], tensors["anchors"]
    scale, zero = quantization(raw_anchors)
    (detail,) = interpreter.get_input_details()
    spec = DetectorSpec(
        name="coco", licence="", box_scales=SCALES, score="none", first_class_column=1
    )
    outputs = sorted(interpreter.get_output_details(), key=lambda d: str(d["name"]))
    compared = 0
    for canvas in canvases[::4]:
        interpreter.tensor(detail["index"])()[0][:] = canvas
        interpreter.invoke()
        boxes, classes, scores, _ = (interpreter.get_tensor(d["index"])[0] for d in outputs)
        anchors = (interpreter.get_tensor(raw_anchors["index"]).astype(np.float32) - zero) * scale
        decode = SsdDecoder(spec, anchors, quantization(raw_boxes), quantization(raw_scores))
        codes = interpreter.get_tensor(raw_boxes["index"]).reshape(1917, 4)
        detections = decode(codes, interpreter.get_tensor(raw_scores["index"])[0], 0.3, 1000)
        detections = detections[
            nms(detections.boxes_xyxy, detections.scores, detections.class_ids, 0.6)
        ]
        expected = boxes[scores > 0.4][:, [1, 0, 3, 2]]
        for box, label, score in zip(expected, classes, scores, strict=False):
            same = detections.class_ids == int(label)
            overlap = iou(box[None], detections.boxes_xyxy[same])[0]
            assert overlap.max() > 0.98
            assert abs(detections.scores[same][overlap.argmax()] - score) < 0.01
            compared += 1
    assert compared >= 5


@given(st.lists(st.tuples(*[st.floats(0.05, 0.9)] * 4), min_size=1, max_size=20))
def test_decoding_reverses_the_encoding_of_boxes(
    rows: list[tuple[float, float, float, float]],
) -> None:
    table = np.array(rows, np.float32)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], axis=1)
    anchors = np.full((len(boxes), 4), 0.4, np.float32)
    back = decode_boxes(encode_boxes(boxes, anchors, SCALES), anchors, SCALES)
    assert np.abs(back - boxes).max() < 1e-4


@given(st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_the_raw_threshold_selects_the_same_rows_as_a_threshold_on_scores(
    min_score: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    spec = DetectorSpec(
        name="x", licence="", box_scales=SCALES, score="sigmoid", first_class_column=1
    )
    raw = random.integers(-128, 128, (50, 3)).astype(np.int8)
    decode = SsdDecoder(spec, np.full((50, 4), 0.5, np.float32), (0.1, 0), (0.07, 20))
    detections = decode(np.zeros((50, 4), np.int8), raw, min_score, 1000)
    scores = 1 / (1 + np.exp(-(raw[:, 1:].astype(np.float64) - 20) * 0.07))
    assert (
        abs(len(detections) - (scores >= min_score).sum())
        <= (np.abs(scores - min_score) < 1e-5).sum()
    )


@pytest.mark.parametrize(("kind", "zero"), [(np.int8, -1), (np.int8, 0), (np.uint8, 128)])
def test_input_levels_are_quantized_to_the_nearest(kind: npt.DTypeLike, zero: int) -> None:
    tensor = Tensor(0, "", (1, 8, 8, 3), (1, 8, 8, 3), np.dtype(kind).name, 2 / 255, zero, 0)
    levels = input_table(tensor, RANGES["-1..1"], 3).view(kind).astype(np.float32)[:, 0]
    real = np.arange(256) / 127.5 - 1
    assert np.abs((levels - zero) * (2 / 255) - real).max() <= 2 / 255


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "not a TFLite model"), (b"x" * 999, "not a TFLite model"),
     (b"\x1c\0\0\0TFL3" + b"\0" * 40, "damaged")],
)  # fmt: skip
def test_a_file_that_is_not_a_model_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=expected):
        Detector(ModelSettings(), path)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    attach(path, PERSON.read_bytes()[:100_000], labels=("person",))
    with pytest.raises(ModelError):
        Detector(ModelSettings(), path)


def test_models_are_found_by_name_and_a_misspelt_name_is_corrected(tmp_path: Path) -> None:
    assert find_model(DEFAULT_MODEL) == PERSON
    assert find_model(str(PERSON)) == PERSON
    with pytest.raises(ModelError, match="did you mean person_ssdlite"):
        find_model("person_ssdlite_mobilenet")
    with pytest.raises(ModelError, match="there is no such file"):
        find_model(str(tmp_path / "absent.tflite"))


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-this-name/m.tflite", "a\0b", "a\x1b[31m"])
def test_a_name_that_can_be_no_file_is_one_error(name: str) -> None:
    with pytest.raises(ModelError):
        find_model(name)


def test_a_folder_does_not_hide_an_installed_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT_MODEL).mkdir()
    assert find_model(DEFAULT_MODEL) == PERSON


def test_a_fetched_model_is_one_file_with_its_labels(coco: Path) -> None:
    model = read_model(coco)
    assert model.labels[0] == "person"
    assert len(model.labels) == 90
    assert Detector(ModelSettings(), coco).input_size == (300, 300)


def test_an_archive_that_differs_from_the_catalogues_is_not_installed(tmp_path: Path) -> None:
    wrong = io.BytesIO()
    with zipfile.ZipFile(wrong, "w") as archive:
        archive.writestr("../detect.tflite", "evil")
    size = load_catalog()["coco_ssd_mobilenet_v1"].size_bytes
    for content, expected in (
        (wrong.getvalue(), "cut off"),
        (bytes(size), "SHA-256"),
        (bytes(size + 1), "too long"),
    ):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(ModelError, match=expected):
            fetch("coco_ssd_mobilenet_v1", tmp_path / "out", tmp_path / "a.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_network_the_error_names_the_option_for_a_local_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(TemporaryError, match="use --from FILE"):
        fetch("coco_ssd_mobilenet_v1", tmp_path)


@given(st.integers(0, 60), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_suppression_is_that_of_geometry(count: int, max_iou: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 1, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.05, 0.5, (count, 2))], axis=1)
    found = Detections(
        boxes.astype(np.float32),
        random.uniform(0, 1, count).astype(np.float32),
        random.integers(0, 3, count),
    )
    expected = nms(found.boxes_xyxy, found.scores, found.class_ids, max_iou)
    assert np.array_equal(suppressed(found, found.class_ids, max_iou), expected)
