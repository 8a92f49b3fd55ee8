"""Losses, int8 files and quantization of the heads beside SSD. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: no network was built")

from edge.vision.detector.layouts.ssd import decode_boxes
from edge.vision.detector.runtime import open_interpreter
from edge.vision.geometry import Boxes, iou
from mobiledet.blocks import FloatBlocks
from mobiledet.design import BOX_SCALES, Design
from mobiledet.export import int8_of, write
from mobiledet.fake_quantized import FakeQuantizedBlocks, twin_of
from mobiledet.heads import head_of
from mobiledet.heads.overlap import boxes_of, overlap
from mobiledet.models import open_model
from mobiledet.network import build, for_daemon
from mobiledet.quantize import normalized, to_float, to_int8
from mobiledet.tensorflow import tf
from mobiledet.training import make_optimizer, make_step

ANCHORS = (((0.2, 0.3), (0.3, 0.2)), ((0.5, 0.5),))
OBJECT: Boxes = np.array([[0.3, 0.2, 0.55, 0.7]], np.float32)
HEADS = pytest.mark.parametrize("head", ["grid", "anchor_free"])


def design_of(head: str, count: int) -> Design:
    anchors = ANCHORS if head == "grid" else ()
    labels = tuple("abcd"[:count])
    return Design(labels=labels, size_px=64, alpha=0.125, head=head, grid_anchors=anchors)  # type: ignore[arg-type]


def random_network(design: Design) -> Any:
    """A network whose outputs differ from place to place, although it has not been trained."""
    tf().keras.utils.set_random_seed(1)
    model = build(design, FloatBlocks())
    random = np.random.default_rng(8)
    for layer in model.layers:
        if len(layer.weights) == 2 and "normalized" not in layer.name:  # a predictor
            kernel, bias = layer.get_weights()
            layer.set_weights([random.normal(0, 0.6, kernel.shape), bias * 0])
    return model


@pytest.mark.parametrize(("head", "count"), [("grid", 1), ("grid", 4), ("anchor_free", 4)])
def test_the_daemon_reads_the_networks_best_box_from_every_kind_of_file(head, count, tmp_path):
    design = design_of(head, count)
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    model = random_network(design)
    pictures = normalized(image[None])
    codes, *logits = (np.asarray(x)[0] for x in model(pictures, training=False))
    scores = np.ones((len(codes), 1), np.float32)
    for values in logits:  # objectness times class, or one of them
        scores = scores / (1 + np.exp(-values))
    scores = scores[:, design.first_class_column :]
    boxes = decode_boxes(codes, head_of(design).anchors, BOX_SCALES) * 64
    whole = for_daemon(model, design, FloatBlocks())
    twin = for_daemon(twin_of(model, design, pictures), design, FakeQuantizedBlocks())
    files = {"float": to_float(whole), "int8": to_int8(whole, [image]), "tuned": to_int8(twin, [])}
    for kind, flatbuffer in files.items():
        path = tmp_path / f"{kind}.tflite"
        write(path, flatbuffer, design, "")
        found = open_model(str(path)).detect(image, 0.05)
        alike = iou(found.boxes_xyxy[:1], boxes)[0] > (0.98 if kind == "float" else 0.7)
        near = np.abs(scores[:, found.class_ids[0]] - found.scores[0]) < (
            1e-3 if kind == "float" else 0.12
        )
        assert (alike & near).any(), kind
        assert found.scores[0] > scores.max() - 0.12
        if kind == "float":
            assert found.scores[0] == pytest.approx(scores.max(), abs=1e-3)


def test_the_grid_learns_an_object():
    """The tests of `fit` train its default, the head without anchors."""
    tf().keras.utils.set_random_seed(1)
    design = design_of("grid", 3)
    one, model = head_of(design), build(design, FloatBlocks())
    step = make_step(model, make_optimizer(model, 5e-3, 40), one)
    targets = one.targets(OBJECT, np.array([2]), np.zeros((0, 4), np.float32))
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    batch = [np.stack([x] * 2) for x in (image, targets.codes, targets.classes)]
    losses = [[float(part) for part in step(*batch)] for _ in range(40)]
    for first, last in zip(losses[0], losses[-1], strict=True):
        assert last < first / 2


@pytest.mark.parametrize(
    ("head", "backbone"),
    [("grid", "mobilenet_v1_patches"), ("anchor_free", "fire"), ("grid", "mobilenet_v3_small")],
)
def test_the_file_is_int8_and_one_call_of_xnnpack(head, backbone):
    design = msgspec.structs.replace(design_of(head, 3), backbone=backbone)
    model = build(design, FloatBlocks())
    noise = np.random.default_rng(4).integers(0, 256, (2, 64, 64, 3), np.uint8)
    flatbuffer = int8_of(twin_of(model, design, normalized(noise)), design)
    interpreter: Any = open_interpreter(flatbuffer, threads=1)
    kinds = {t["dtype"] for t in interpreter.get_tensor_details() if t["shape"].size > 1}
    assert np.float32 not in kinds
    (delegate,) = (o for o in interpreter._get_ops_details() if o["op_name"] == "DELEGATE")
    outputs = {detail["index"] for detail in interpreter.get_output_details()}
    assert outputs <= set(delegate["outputs"].tolist())
    assert interpreter.get_input_details()[0]["index"] in delegate["inputs"].tolist()


@HEADS
def test_the_loss_is_least_for_the_right_box_and_class(head):
    design = design_of(head, 3)
    one = head_of(design)
    targets = one.targets(OBJECT, np.array([1]), np.zeros((0, 4), np.float32))
    codes, classes = targets.codes[None], targets.classes[None]
    matched = classes[0] > 0

    def loss(shift: float, column: int) -> list[float]:
        logits = np.full((1, len(one.anchors), 3), -8.0, np.float32)
        logits[0, matched, column] = 8.0
        outputs = [codes + np.float32(shift), logits]
        if design.has_objectness:
            outputs.append(np.where(matched, 8.0, -8.0)[None, :, None].astype(np.float32))
        outputs[1][0, classes[0] < 0] = 50.0  # ignored places have no part in the loss
        return [float(x) for x in one.loss([tf().constant(x) for x in outputs], codes, classes)]

    assert loss(0, 1)[0] == pytest.approx(0, abs=1e-4)
    assert loss(1.0, 1)[0] > 0.05
    assert int(np.argmin([loss(0, column)[1] for column in range(3)])) == 1
    assert loss(0, 1)[1] < 0.1


def test_a_box_of_less_overlap_gets_a_lower_score_to_learn():
    for head in ("grid", "anchor_free"):
        one = head_of(design_of(head, 1))
        targets = one.targets(OBJECT, np.array([0]), np.zeros((0, 4), np.float32))
        classes = targets.classes[None]
        logits = np.where(classes > 0, 4.0, -9.0)[..., None].astype(np.float32)
        right, wrong = (
            float(one.loss([targets.codes[None] + shift, tf().constant(logits)],
                           targets.codes[None], classes)[1])
            for shift in (np.float32(0), np.float32(2))
        )  # fmt: skip
        assert right < wrong


def test_overlaps_are_those_of_the_daemon():
    random = np.random.default_rng(6)
    corners = np.sort(random.uniform(0, 1, (2, 30, 2, 2)), axis=2).reshape(2, 30, 4)
    one, other = corners.astype(np.float32)
    ious, generalized = (np.asarray(x) for x in overlap(tf().constant(one), tf().constant(other)))
    assert ious == pytest.approx(np.diag(iou(one, other)), abs=1e-5)
    assert (generalized <= ious + 1e-6).all()
    apart = overlap(tf().constant([[0, 0, 0.1, 0.1]]), tf().constant([[0.9, 0.9, 1, 1.0]]))
    assert float(apart[1][0]) == pytest.approx(-0.98, abs=1e-5)


def test_boxes_of_codes_are_those_that_the_daemon_decodes():
    head = head_of(design_of("grid", 1))
    codes = np.random.default_rng(7).normal(0, 2, (len(head.anchors), 4)).astype(np.float32)
    boxes = np.asarray(boxes_of(tf().constant(codes[None]), head.anchors))[0]
    assert boxes == pytest.approx(decode_boxes(codes, head.anchors, BOX_SCALES), abs=1e-5)
