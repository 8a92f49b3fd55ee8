"""Each layout of outputs: graphs with its exact signature and objects in its own code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config.schema import ModelSettings
from edge.errors import ConfigError, ModelError
from edge.vision.detector import Detector
from edge.vision.detector.layouts import LAYOUTS
from edge.vision.detector.model_file import DetectorSpec, attach
from edge.vision.types import Detections
from tests.support import tflite
from tests.support.metadata import mediapipe_options, tflite_metadata

SIZE = (320, 320)
LABELS = [f"thing{number}" for number in range(20)]
# Class and box x0 y0 x1 y1 in pixels of the input.
OBJECTS = [(3, (40.0, 50.0, 140.0, 210.0)), (19, (200.0, 120.0, 300.0, 190.0)),
           (0, (180.0, 230.0, 300.0, 310.0))]  # fmt: skip
RANDOM = np.random.default_rng(7)


def detector(path: Path, model: bytes, labels: list[str] | None = None, **settings) -> Detector:
    """The detector of a model, which finds nothing where no score is high enough."""
    tflite.saved(path / "model.tflite", model, LABELS if labels is None else labels)
    one = Detector(ModelSettings(**settings), path / "model.tflite")
    nothing = found(one, 2.0)
    assert (nothing.boxes_xyxy.shape, nothing.scores.shape) == ((0, 4), (0,))
    return one


def found(one: Detector, min_score: float = 0.5) -> Detections:
    return one.detect(np.zeros((*one.input_size[::-1], 3), np.uint8), min_score)


def assert_finds_the_objects(detections: Detections, tolerance_px: float = 0.5) -> None:
    expected = dict(OBJECTS)
    assert sorted(detections.class_ids.tolist()) == sorted(expected)
    for class_id, box in zip(detections.class_ids.tolist(), detections.boxes_xyxy, strict=True):
        assert np.abs(box - expected[class_id]).max() <= tolerance_px


def centre_rows(classes: int) -> list[np.ndarray]:
    """cx cy w h and one score for each class, in pixels, for each of the objects."""
    rows = []
    for class_id, (x0, y0, x1, y1) in OBJECTS:
        scores = np.full(classes, 0.02)
        scores[class_id] = 0.9
        rows.append(np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, *scores]))
    return rows


def noise(cells: int, classes: int) -> np.ndarray:
    """Rows as an idle network gives: a box at every cell, low scores. cx and cy in pixels."""
    boxes = RANDOM.uniform(0, 320, (cells, 4))
    return np.concatenate([boxes, RANDOM.uniform(0, 0.1, (cells, classes))], axis=1)


def yolo8(pixels: bool) -> np.ndarray:
    table = noise(2100, 20)
    table[[5, 900, 2099]] = centre_rows(20)
    table[[6, 901]] = table[[5, 900]] + np.r_[2, 1, 2, 2, np.full(20, -0.01)]  # NMS removes them
    table[:, :4] /= 1 if pixels else 320
    return table.T[None].astype(np.float32)


def yolo5(pixels: bool, cells: int) -> np.ndarray:
    table = noise(cells, 21)
    table[:, 4] = RANDOM.uniform(0, 0.2, cells)
    for place, row in zip((3, 777, cells - 1), centre_rows(20), strict=True):
        table[place] = [*row[:4], 0.95, *row[4:]]
    table[100, 4], table[101, 5:] = 0.9, 0.9  # objectness without a class, and the reverse
    table[:, :4] /= 1 if pixels else 320
    return table[None].astype(np.float32)


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("transposed", [False, True])
def test_yolo8(tmp_path: Path, pixels: bool, transposed: bool) -> None:
    table = yolo8(pixels)
    model = tflite.constant_model([table.transpose(0, 2, 1) if transposed else table])
    one = detector(tmp_path, model)
    assert one.model.layout.name == "yolo8"
    assert one.model.input.range.name == "0..1"
    assert_finds_the_objects(found(one))


def test_yolo8_in_full_int8_with_the_names_of_ultralytics(tmp_path: Path) -> None:
    model = tflite.constant_model(
        [yolo8(pixels=False)],
        kind="int8",
        scale=1 / 255,
        zero=-128,
        output_scales=[(1 / 250, -128)],
    )
    names = dict(enumerate(LABELS))
    facts = {"description": "Ultralytics", "task": "detect", "imgsz": [320, 320], "names": names}
    for member in ({"temp_meta_txt": str(facts)}, {"metadata_json": json.dumps(facts)}):
        one = detector(tmp_path, tflite.with_members(model, **member), [])
        assert one.labels == tuple(LABELS)
        assert one.model.warnings == ()
        assert_finds_the_objects(found(one), tolerance_px=1.5)


@pytest.mark.parametrize(("task", "extra"), [("segment", 32), ("pose", 51)])
def test_columns_for_segments_and_poses_are_passed_over(
    tmp_path: Path, task: str, extra: int
) -> None:
    more = np.full((1, extra, 2100), 0.99, np.float32)
    model = tflite.constant_model([np.concatenate([yolo8(pixels=True), more], axis=1)])
    facts = str({"task": task, "names": dict(enumerate(LABELS))})
    assert_finds_the_objects(
        found(detector(tmp_path, tflite.with_members(model, temp_meta_txt=facts), []))
    )


@pytest.mark.parametrize("task", ["classify", "obb"])
def test_other_tasks_of_ultralytics_are_refused_by_name(tmp_path: Path, task: str) -> None:
    facts = str({"task": task, "names": dict(enumerate(LABELS))})
    model = tflite.with_members(tflite.constant_model([yolo8(pixels=True)]), temp_meta_txt=facts)
    with pytest.raises(ModelError, match=f"model .*task {task}.*export one of task detect"):
        detector(tmp_path, model, [])


@pytest.mark.parametrize("cells", [6300, 6375], ids=["yolo5", "four-levels-as-megadetector"])
@pytest.mark.parametrize("pixels", [True, False])
def test_yolo5_and_megadetector(tmp_path: Path, cells: int, pixels: bool) -> None:
    one = detector(tmp_path, tflite.constant_model([yolo5(pixels, cells)]))
    assert one.model.layout.name == "yolo5"
    detections = found(one)
    assert_finds_the_objects(detections)
    assert detections.scores == pytest.approx([0.95 * 0.9] * 3, abs=1e-5)


def test_megadetector_at_its_own_size(tmp_path: Path) -> None:
    table = np.zeros((1, 25500, 8), np.float32)
    table[0, 123] = [0.5, 0.25, 0.2, 0.1, 0.9, 0.95, 0.01, 0.01]
    table[0, :, :2] += 1e-3
    model = tflite.constant_model([table], (640, 640))
    one = detector(tmp_path, model, ["animal", "person", "vehicle"])
    (label,) = [one.labels[number] for number in found(one).class_ids]
    assert label == "animal"
    assert one.groups == ("animal", "", "vehicle")


@pytest.mark.parametrize("pixels", [True, False])
def test_yolo10(tmp_path: Path, pixels: bool) -> None:
    table = np.zeros((1, 300, 6), np.float32)
    for row, (class_id, box) in enumerate(OBJECTS):
        table[0, row] = [*(np.array(box) / (1 if pixels else 320)), 0.8, class_id]
    one = detector(tmp_path, tflite.constant_model([table]))
    assert one.model.layout.name == "end-to-end"
    assert_finds_the_objects(found(one))


def cells_of(strides: tuple[int, ...]) -> list[tuple[int, int, int]]:
    return [(x, y, s) for s in strides for y in range(-(-320 // s)) for x in range(-(-320 // s))]


@pytest.mark.parametrize("decoded", [False, True])
def test_yolox(tmp_path: Path, decoded: bool) -> None:
    """Megvii's demo_postprocess: (offset + cell) * stride, exp(size) * stride."""
    cells = cells_of((8, 16, 32))
    table = np.concatenate([RANDOM.normal(0, 0.5, (2100, 4)), np.full((2100, 21), 0.03)], axis=1)
    for place, row in zip((10, 1700, 2099), centre_rows(20), strict=True):
        x, y, stride = cells[place]
        offset, size = row[:2] / stride - (x, y), np.log(row[2:4] / stride)
        table[place] = [*offset, *size, 0.97, *row[4:]]
    if decoded:
        x, y, stride = np.array(cells).T[..., None]
        table[:, :2] = (table[:, :2] + np.hstack([x, y])) * stride
        table[:, 2:4] = np.exp(table[:, 2:4]) * stride
    one = detector(tmp_path, tflite.constant_model([table[None].astype(np.float32)]))
    assert (one.model.layout.name, one.model.input.bgr) == ("yolox", True)
    assert one.model.input.range.name == "0..255"
    assert_finds_the_objects(found(one))


@pytest.mark.parametrize(
    ("strides", "shift", "bins"), [((8, 16, 32, 64), 0.0, 8), ((8, 16, 32), 0.5, 8),
                                   ((8, 16, 32, 64), 0.0, 11)]
)  # fmt: skip
def test_nanodet(tmp_path: Path, strides: tuple[int, ...], shift: float, bins: int) -> None:
    """Distances from the cell to each side, as a distribution over whole strides."""
    cells = cells_of(strides)
    table = np.concatenate(
        [np.full((len(cells), 20), 0.02), RANDOM.normal(0, 1, (len(cells), 4 * bins))], axis=1
    )
    places = [cells.index(cell) for cell in ((2, 4, 32), (7, 4, 32), (7, 8, 32))]
    for place, (class_id, box) in zip(places, OBJECTS, strict=True):
        x, y, stride = cells[place]
        centre = np.array([(x + shift) * stride, (y + shift) * stride])
        sides = np.concatenate([centre - box[:2], np.array(box[2:]) - centre]) / stride
        logits = np.full((4, bins), -30.0)
        for side, distance in enumerate(sides):  # two neighbours share the weight
            low = int(distance)
            logits[side, low], logits[side, low + 1] = (
                np.log(max(1 - (distance - low), 1e-9)), np.log(max(distance - low, 1e-9)),
            )  # fmt: skip
        table[place, class_id], table[place, 20:] = 0.9, logits.ravel()
    one = detector(tmp_path, tflite.constant_model([table[None].astype(np.float32)]))
    assert (one.model.layout.name, one.model.input.range.name) == ("nanodet", "imagenet")
    assert_finds_the_objects(found(one))


ANCHORS = ((0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778),
           (9.77052, 9.16828))  # fmt: skip


def yolo2() -> np.ndarray:
    """Darknet's region layer: sigmoid(t) + cell, anchor * exp(t), sigmoid, softmax."""
    table = RANDOM.normal(0, 0.3, (1, 10, 10, 5, 25))
    table[..., 4] = -6
    for number, (class_id, (x0, y0, x1, y1)) in enumerate(OBJECTS):
        centre, size = np.array([x0 + x1, y0 + y1]) / 64, np.array([x1 - x0, y1 - y0]) / 32
        column, row = centre.astype(int)
        inner = centre - (column, row)
        cell = table[0, row, column, number + 1]
        cell[:2], cell[2:4] = np.log(inner / (1 - inner)), np.log(size / ANCHORS[number + 1])
        cell[4], cell[5 + class_id] = 4, 12
    return table.reshape(1, 10, 10, 125).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 10, 10, 125), (1, 10, 10, 5, 25)])
def test_yolo2_with_its_anchors(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = tflite.constant_model([yolo2().reshape(shape)])
    one = detector(tmp_path, model, anchors=ANCHORS)
    assert one.model.layout.name == "yolo2"
    assert_finds_the_objects(found(one))


def test_yolo2_without_anchors_asks_for_them(tmp_path: Path) -> None:
    model = tflite.constant_model([yolo2()])
    with pytest.raises(ModelError, match=r"5 anchors that the file doesn't hold: set model\.anch"):
        detector(tmp_path, model)
    with pytest.raises(ModelError, match=r"don't fit 2 anchors"):
        detector(tmp_path, model, anchors=ANCHORS[:2])


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_fomo_makes_boxes_of_cells_in_grey(tmp_path: Path, kind: str) -> None:
    scores = np.full((1, 12, 12, 3), 0.01, np.float32)
    scores[..., 0] = 0.98
    scores[0, 2:4, 3, 1] = scores[0, 4, 4, 1] = 0.8  # touching, also at a corner: one object
    scores[0, 9, 9, 1] = 0.7
    scores[0, 2, 4, 2] = 0.9  # touches, but of another class
    quantized: dict[str, Any] = {"kind": "int8", "scale": 1 / 255, "zero": -128}
    model = tflite.constant_model(
        [scores], shape=(1, 96, 96, 1), output_scales=[(1 / 255, -128)] if kind == "int8" else (),
        **(quantized if kind == "int8" else {}),
    )  # fmt: skip
    one = detector(tmp_path, model, ["cup", "spoon"])
    assert one.model.layout.name == "fomo"
    boxes = sorted(zip(found(one).class_ids.tolist(), found(one).boxes_xyxy.tolist(), strict=True))
    assert boxes == [(0, [24, 16, 40, 40]), (0, [72, 72, 80, 80]), (1, [32, 16, 40, 24])]


def ssd(columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, scores (the background first) and anchors cy cx h w of the objects and of noise."""
    anchors = np.concatenate([RANDOM.uniform(0.2, 0.8, (50, 2)), np.full((50, 2), 0.3)], axis=1)
    codes, scores = RANDOM.normal(0, 1, (50, 4)), np.full((50, columns), 0.02)
    for row, (class_id, box) in enumerate(OBJECTS):
        x0, y0, x1, y1 = np.array(box) / 320
        cy, cx, h, w = anchors[row]
        codes[row] = [((y0 + y1) / 2 - cy) / h * 10, ((x0 + x1) / 2 - cx) / w * 10,
                      np.log((y1 - y0) / h) * 5, np.log((x1 - x0) / w) * 5]  # fmt: skip
        scores[row, class_id + columns - 20] = 0.9
    return codes.astype(np.float32), scores.astype(np.float32), anchors.astype(np.float32)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_postprocess_outputs_in_every_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    """The real operator, its outputs listed in any order under names that don't tell."""
    codes, scores, anchors = ssd(21)
    one = detector(tmp_path, tflite.postprocess_model(codes, scores, anchors, order=order))
    assert one.model.layout.name == "postprocess"
    assert one.model.decoding.classes == 20
    assert_finds_the_objects(found(one))


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("swapped", [False, True])
def test_mediapipe(tmp_path: Path, sigmoid: bool, background: bool, swapped: bool) -> None:
    codes, scores, anchors = ssd(21 if background else 20)
    raw = np.log(scores / (1 - scores)) if sigmoid else scores
    metadata = tflite_metadata(
        mean=[127.5], std=[127.5], labels="labels.txt",
        custom=mediapipe_options(anchors, scores.shape[1], (10, 10, 5, 5), sigmoid=sigmoid),
    )  # fmt: skip
    outputs = [raw[None], codes[None]] if swapped else [codes[None], raw[None]]
    model = tflite.constant_model(outputs, metadata={"TFLITE_METADATA": metadata})
    names = (["background"] if background else []) + LABELS
    one = detector(tmp_path, tflite.with_members(model, labels_txt="\n".join(names)), [])
    assert one.model.layout.name == "mediapipe"
    assert one.model.input.range.name == "-1..1"
    assert one.labels == tuple(LABELS)
    assert_finds_the_objects(found(one))


def test_every_layout_can_be_named_and_does_not_take_what_does_not_fit(tmp_path: Path) -> None:
    model = tflite.constant_model([np.zeros((1, 7, 9), np.float32)])
    for layout in LAYOUTS:
        with pytest.raises(ModelError, match=f"don't fit model.layout = '{layout.name}'"):
            detector(tmp_path, model, layout=layout.name)
    with pytest.raises(ConfigError, match="no layout 'yolo8x'; the layouts are postprocess"):
        detector(tmp_path, model, layout="yolo8x")
    with pytest.raises(ModelError, match=r"outputs \(1x7x9\) with 20 labels fit no known layout"):
        detector(tmp_path, model)


@pytest.mark.parametrize("make", [lambda: yolo8(pixels=True), lambda: yolo5(True, 6300)])
def test_nan_and_infinity_give_no_boxes(tmp_path: Path, make: Callable[[], np.ndarray]) -> None:
    table = make()
    for value in (np.nan, np.inf, -np.inf, 1e38):
        assert (
            len(found(detector(tmp_path, tflite.constant_model([np.full_like(table, value)])))) == 0
        )


def test_noise_above_the_threshold_is_bounded(tmp_path: Path) -> None:
    table = yolo8(pixels=True)
    table[:, 4:] = RANDOM.uniform(0.5, 1, table[:, 4:].shape)
    assert 0 < len(found(detector(tmp_path, tflite.constant_model([table])))) <= 1000


def test_a_named_layout_needs_no_fitting_labels(tmp_path: Path) -> None:
    """A transposed YOLOv8 has the shape of a YOLOX with one class less."""
    model = tflite.constant_model([yolo8(pixels=True).transpose(0, 2, 1)])
    with pytest.raises(
        ModelError, match=r"outputs \(1x2100x24\) with 3 labels fit no known layout"
    ):
        detector(tmp_path, model, LABELS[:3])
    one = detector(tmp_path, model, LABELS[:3], layout="yolo8")
    assert "has 3 labels, but the model has 20 classes" in one.warnings[0]
    assert_finds_the_objects(found(one))
    (tmp_path / "model.txt").unlink()
    with pytest.raises(ModelError, match=r"model\.tflite: .* It has no labels either: write"):
        Detector(ModelSettings(), tmp_path / "model.tflite")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_raw_boxes_and_scores_of_the_same_width_are_told_apart(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    codes, scores, anchors = ssd(21)
    scores = np.concatenate(
        [scores[:, :1], scores[:, 4:5], scores[:, 20:21], scores[:, 1:2]], axis=1
    )
    spec = DetectorSpec(name="x", licence="", box_scales=(10, 10, 5, 5), score="none",
                        first_class_column=1)  # fmt: skip
    outputs, names = [codes[None], scores[None]], ["boxes", "scores"]
    model = tflite.constant_model(
        [outputs[place] for place in order], output_names=[names[place] for place in order]
    )
    attach(tmp_path / "model.tflite", model, labels=("a", "b", "c"), spec=spec, anchors=anchors)
    detections = found(Detector(ModelSettings(), tmp_path / "model.tflite"))
    expected = {0: OBJECTS[0][1], 1: OBJECTS[1][1], 2: OBJECTS[2][1]}
    assert sorted(detections.class_ids.tolist()) == [0, 1, 2]
    for class_id, box in zip(detections.class_ids.tolist(), detections.boxes_xyxy, strict=True):
        assert np.abs(box - expected[class_id]).max() < 0.5


def test_a_score_whose_scale_reaches_above_one_is_one(tmp_path: Path) -> None:
    table = np.zeros((1, 300, 6), np.float32)
    table[0, 0] = [0.1, 0.1, 0.5, 0.5, 1.02, 1.02]
    model = tflite.constant_model([table], output_scales=[(0.004, -128)])
    assert found(detector(tmp_path, model)).scores.tolist() == [1.0]


def test_raw_boxes_without_anchors_are_named(tmp_path: Path) -> None:
    """MediaPipe's own models for faces and palms, which leave the anchors to a graph."""
    outputs = [np.zeros((1, 896, 16), np.float32), np.zeros((1, 896, 1), np.float32)]
    with pytest.raises(ModelError, match="raw boxes and scores, but it holds no anchors"):
        detector(tmp_path, tflite.constant_model(outputs, (128, 128)), ["face"])
