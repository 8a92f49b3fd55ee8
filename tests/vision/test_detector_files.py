"""Files that are no model, damaged models and special files: one sentence that names the file."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config.schema import DEFAULT_MODEL, ModelSettings
from edge.errors import ModelError
from edge.vision.detector import Detector, read_model
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.model_file import MAX_MODEL_BYTES, DetectorSpec
from tests.support import tflite

PERSON = find_model(DEFAULT_MODEL)
END_TO_END = np.zeros((1, 300, 6), np.float32)


def torch_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("best/data.pkl", b"\x80\x02}")
    return buffer.getvalue()


FOREIGN = [
    ("best.pt", torch_file(), "a PyTorch model: .*yolo export model=best.pt format=tflite"),
    ("best.tflite", torch_file(), "a PyTorch model: .*yolo export model=best.tflite"),
    ("old.pth", b"\x80\x02\x8a\nl\xfc", "a PyTorch model"),
    ("yolo.onnx", b"\x08\x07\x12\x07pytorch\x1a\x03", "an ONNX model: .*onnx2tf -i yolo.onnx"),
    ("yolo.hef", b"\x01HEF\0\0\0\2", "a Hailo accelerator"),
    ("m.tflite", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    ("m.h5", b"\x89HDF\r\n\x1a\n", "a Keras model"),
    ("m.pb", b"\n\x0c\n\x04node", "a TensorFlow graph"),
    ("m.tflite", b"<!DOCTYPE html><html>", "a web page, .*download it again"),
    ("m.rknn", b"RKNN\0", "a Rockchip NPU"),
    ("m.tflite", b"", "not a TFLite model .it has 0 bytes"),
    ("m.eim", b"\x7fELF", "an Edge Impulse program"),
]


@pytest.mark.parametrize(("name", "content", "expected"), FOREIGN)
def test_a_file_of_another_kind_is_named_with_the_way_to_a_model(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"model {path}: .*{expected}"):
        read_model(path)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("edgetpu-custom-op", "a Coral Edge TPU.*without _edgetpu"),
     ("FlexCombinedNonMaxSuppression", "TFLITE_BUILTINS only"),
     ("NMS_NV", "custom operators that the runtime doesn't have: NMS_NV")],
)  # fmt: skip
def test_operators_that_the_runtime_lacks_are_named(
    tmp_path: Path, operator: str, expected: str
) -> None:
    graph = tflite.GraphBuilder()
    given, made = graph.tensor((1, 64, 64, 3), "uint8"), graph.tensor((1, 300, 6))
    graph.operator(operator, [given], [made])
    path = tflite.saved(tmp_path / "m.tflite", graph.build([given], [made]), ["a"])
    with pytest.raises(ModelError, match=f"m.tflite: .*{expected}"):
        read_model(path)


@pytest.mark.parametrize("shape", [(1, 1001), (1, 1, 1, 5), (5,)])
def test_a_classifier_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = tflite.constant_model([np.zeros(shape, np.float32)])
    with pytest.raises(ModelError, match=r"m.tflite: it is a classifier, .* use a detector"):
        read_model(tflite.saved(tmp_path / "m.tflite", model, ["a"]))


def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.tflite")
    with (tmp_path / "huge.tflite").open("wb") as huge:
        huge.write(b"\x1c\0\0\0TFL3")
        huge.truncate(10_000_000_000)
    begin = time.monotonic()
    for name, expected in (("fifo.tflite", "a pipe or device, not a file"),
                           ("huge.tflite", f"more than the {MAX_MODEL_BYTES}"),
                           (".", "a folder, not a file"), ("absent", "no such file")):  # fmt: skip
        path = tmp_path / name
        with pytest.raises(ModelError, match=f"model {path}: .*{expected}"):
            read_model(path)
    with pytest.raises(ModelError, match="a pipe or device"):
        read_model(Path("/dev/zero"))
    assert time.monotonic() - begin < 2


def test_only_used_members_of_an_archive_are_read_and_within_a_total(tmp_path: Path) -> None:
    """300 members of 10 MB, which would fill 3 GB."""
    buffer = io.BytesIO(tflite.constant_model([END_TO_END]))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "wolf\n")
        for number in range(300):
            archive.writestr(f"{number}.bin", bytes(10_000_000) if number < 3 else b"")
    path = tflite.saved(tmp_path / "m.tflite", buffer.getvalue())
    assert read_model(path).labels == ("wolf",)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(f"{number}.txt", b" " * 900_000)
    with pytest.raises(ModelError, match="too large"):
        read_model(path)


def test_an_archive_with_too_many_members_is_not_opened(tmp_path: Path) -> None:
    buffer = io.BytesIO(tflite.constant_model([END_TO_END]))
    with zipfile.ZipFile(buffer, "a") as archive:
        for number in range(3000):
            archive.writestr(f"{number}.txt", "")
    with pytest.raises(ModelError, match="too many members"):
        read_model(tflite.saved(tmp_path / "m.tflite", buffer.getvalue()))


def spec(**changes) -> bytes:
    fields = {"name": "x", "licence": "", "box_scales": (10, 10, 5, 5), "score": "none",
              "first_class_column": 0} | changes  # fmt: skip
    return msgspec.json.encode(msgspec.convert(fields, DetectorSpec))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


GOOD = np.full((9, 4), 0.5, np.float32)


@pytest.mark.parametrize(
    ("detector", "anchors", "expected"),
    [
        (spec(), npy(GOOD[:0]), "expected .number, 4"),
        (spec(), npy(GOOD[:5]), "9 boxes, but 5 anchors"),
        (spec(), npy(GOOD * np.nan), "not finite"),
        (spec(), npy(GOOD * np.inf), "not finite"),
        (spec(), npy(GOOD * 0), "not above 0"),
        (spec(), npy(GOOD[:, :3]), "expected .number, 4"),
        (spec(), npy(np.array([["a"] * 4] * 9)), "damaged"),
        (spec(), b"\x93NUMPY", "damaged"),
        (spec(box_scales=(0, 10, 5, 5)), npy(GOOD), "above 0"),
        (spec(box_scales=(1e999, 10, 5, 5)), npy(GOOD), "damaged|above 0"),
        (spec(format=2), npy(GOOD), "format 2"),
        (spec(first_class_column=7), npy(GOOD), "first_class_column 7"),
        (b"{" * 5000, npy(GOOD), "damaged"),
        (b'{"name": 1}', npy(GOOD), "damaged"),
    ],
)  # fmt: skip
def test_attached_data_that_cannot_make_boxes_is_refused(
    tmp_path: Path, detector: bytes, anchors: bytes, expected: str
) -> None:
    outputs = [np.zeros((1, 9, 4), np.float32), np.zeros((1, 9, 1), np.float32)]
    model = tflite.with_members(
        tflite.constant_model(outputs), labels_txt="a", detector_json=detector, anchors_npy=anchors
    )
    with pytest.raises(ModelError, match=f"m.tflite: .*({expected})"):
        Detector(ModelSettings(), tflite.saved(tmp_path / "m.tflite", model))


def test_deep_metadata_is_refused(tmp_path: Path) -> None:
    for text in ("[" * 100_000, "(" * 5000 + ")" * 5000, '{"names": {"99999999": "a"}}', "{1: 2"):
        model = tflite.with_members(tflite.constant_model([END_TO_END]), temp_meta_txt=text)
        with pytest.raises(ModelError, match=r"m\.tflite"):
            read_model(tflite.saved(tmp_path / "m.tflite", model))


@pytest.mark.parametrize("name", ["mediapipe", "task_library"])
def test_any_damage_to_a_small_model_gives_one_sentence_or_boxes(tmp_path: Path, name: str) -> None:
    """Most of these files is structure: tables of the graph, metadata, anchors, the archive."""
    content = (Path(__file__).parent / f"frameworks/{name}.tflite").read_bytes()
    random, path, sentences = np.random.default_rng(5), tmp_path / "m.tflite", list[str]()
    for _ in range(100):
        damaged = bytearray(content)
        for place in random.integers(8, len(content), 4):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            Detector(ModelSettings(), path)
        except ModelError as error:
            sentences.append(str(error))
    assert len(sentences) > 20
    assert all(str(path) in sentence and sentence.isprintable() for sentence in sentences)


@pytest.mark.parametrize("seed", range(2))
def test_any_damage_to_the_shipped_model_gives_one_sentence(tmp_path: Path, seed: int) -> None:
    """Flipped bytes in the graph's tables and in the attached archive, cuts, and doubled parts."""
    random, content = np.random.default_rng(seed), PERSON.read_bytes()
    archive = content.rindex(b"PK\x03\x04")
    path, sentences = tmp_path / "m.tflite", list[str]()
    for number in range(60):
        damaged = bytearray(content)
        match number % 4:
            case 0:  # the archive: its members and its directory
                for place in random.integers(archive - 20_000, len(content), 8):
                    damaged[place] = random.integers(256)
            case 1:  # the directory's last records
                for place in random.integers(len(content) - 400, len(content), 3):
                    damaged[place] ^= 1 << random.integers(8)
            case 2:
                del damaged[random.integers(8, len(content)) :]
            case 3:  # the tables of the graph, which lie at the end of the flatbuffer
                for place in random.integers(8, 200, 2):
                    damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_model(path)
        except ModelError as error:
            sentences.append(str(error))
    assert len(sentences) > 20
    assert all(str(path) in sentence and sentence.isprintable() for sentence in sentences)


@pytest.mark.parametrize(
    ("anchors", "expected"),
    [(GOOD[:3], "9 boxes, but anchors of the shape 3x4"), (GOOD[:0], "9 boxes, but anchors"),
     (GOOD * np.nan, "not finite"), (GOOD * np.inf, "not finite"), (GOOD * 0, "not above 0")],
)  # fmt: skip
def test_anchors_in_the_graph_are_checked_before_the_runtime_reads_them(
    tmp_path: Path, anchors: np.ndarray, expected: str
) -> None:
    codes, scores = np.zeros((9, 4), np.float32), np.full((9, 3), 0.5, np.float32)
    model = tflite.postprocess_model(codes, scores, anchors.astype(np.float32))
    with pytest.raises(ModelError, match=f"m.tflite: .*{expected}"):
        read_model(tflite.saved(tmp_path / "m.tflite", model, ["a", "b"]))


@pytest.mark.parametrize(
    "damage", [b"max_detections", b"num_classes", b"h_scale", b"nms_iou_threshold"]
)
def test_damaged_options_of_the_operator_do_not_reach_the_runtime(
    tmp_path: Path, damage: bytes
) -> None:
    """The runtime reads them unchecked: a wrong byte there ended the whole process."""
    content = (Path(__file__).parent / "frameworks/task_library.tflite").read_bytes()
    for byte in (b"\xca", b"\0"):
        broken = content.replace(damage, byte + damage[1:])
        assert broken != content
        with pytest.raises(ModelError, match="TFLite_Detection_PostProcess lacks its options"):
            read_model(tflite.saved(tmp_path / "m.tflite", broken))
    codes, scores = np.zeros((9, 4), np.float32), np.full((9, 3), 0.5, np.float32)
    model = tflite.postprocess_model(codes, scores, GOOD, classes=20_000)
    path = tflite.saved(tmp_path / "m.tflite", model)
    with pytest.raises(ModelError, match="has num_classes 20000, not 1 to"):
        read_model(path)
