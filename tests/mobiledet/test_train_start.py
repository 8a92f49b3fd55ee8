"""A training that starts from trained weights: those of COCO or of another run.

Needs TensorFlow.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: nothing was trained")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge.vision.detector.catalogue import find_model
from edge.vision.detector.model_file import read_file
from mobiledet.anchors import anchors_of
from mobiledet.blocks import HARD_SWISH_ADDEND
from mobiledet.design import Design
from mobiledet.fake_quantized import twin_of
from mobiledet.heads import head_of
from mobiledet.learning_rate import Thaw, rates_with_thaw
from mobiledet.models import open_model
from mobiledet.network import float_network
from mobiledet.run import (
    COCO,
    COCO_MODEL,
    Run,
    Training,
    create,
    load,
    load_checkpoint,
    save_checkpoint,
    training_pictures,
)
from mobiledet.start import coco_start, design_from, set_start
from mobiledet.tensorflow import tf
from mobiledet.training import make_optimizer, make_step, state
from tests.support import drawn_objects
from tests.support.training import completed, edge_train, is_whole_in_xnnpack

pytestmark = pytest.mark.timeout(900)  # two trainings and an export take a minute on an idle core

LABELS = ("deer", "person", "cow", "drone", "truck")  # COCO lacks deer and drones
FILE = find_model(COCO_MODEL)


def started(*labels: str):
    tf().keras.utils.set_random_seed(1)
    training = Training(dataset="", split="", steps=10, start=COCO)
    run = Run(design=design_from(COCO, labels, 0), training=training)
    model = float_network(run.design)
    set_start(model, run)
    return run.design, model


@pytest.fixture(scope="module")
def network():
    return started(*LABELS)


@pytest.fixture(scope="module")
def people(shared_data) -> np.ndarray:
    """(320, 320, 3) RGB: a part of a picture with people."""
    with av.open(str(shared_data / "vtest.avi")) as container:
        frame = next(frame for i, frame in enumerate(container.decode(video=0)) if i == 40)
    return np.ascontiguousarray(frame.to_ndarray(format="rgb24")[100:420, 300:620])


@pytest.fixture(scope="module")
def shipped(people) -> Interpreter:
    """The shipped file after an invocation, with all its tensors."""
    interpreter = Interpreter(
        model_path=str(FILE),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    interpreter.set_tensor(taken["index"], (people[None].astype(np.int16) - 128).astype(np.int8))
    interpreter.invoke()
    return interpreter


def levels(interpreter: Interpreter, index: int) -> tuple[np.ndarray, float, float, float]:
    """A tensor's values, its step, and the ends of its range."""
    detail = next(x for x in interpreter.get_tensor_details() if x["index"] == index)
    step, zero = detail["quantization"]
    values = (interpreter.get_tensor(index).astype(np.float32) - zero) * step
    return values, step, (-128 - zero) * step, (127 - zero) * step


def test_the_anchors_are_those_of_the_shipped_file(network):
    design, _ = network
    anchors = read_file(FILE).anchors
    assert anchors is not None
    assert np.abs(anchors_of(design) - anchors).max() < 1e-4


def test_each_layer_gives_the_shipped_layers_output_to_two_levels(shipped):
    """The outputs of whole networks differ more, as the file's rounding adds up over 60 layers."""
    _, model = started(*read_file(FILE).members["labels.txt"].decode().splitlines())
    operators = [o for o in shipped._get_ops_details() if "CONV_2D" in o["op_name"]]
    tensor_names = {x["index"]: x["name"] for x in shipped.get_tensor_details()}
    names = list(coco_start().weights)
    assert len(operators) == len(names) > 60
    shares = []
    for name, operator in zip(names, operators, strict=True):
        data, *_ = levels(shipped, operator["inputs"][0])
        expected, step, low, high = levels(shipped, operator["outputs"][0])
        if name.startswith("logits") and "." not in name:
            expected = without_background(expected)
        # The file left the sixth of hard-swish to the kernel after it.
        is_product = tensor_names[operator["inputs"][0]].endswith("hard_swish/mul")
        shares.append(is_product)
        got = np.asarray(model.get_layer(name)(data / 6 if is_product else data))
        got = got + HARD_SWISH_ADDEND if name.endswith(".wide") else got
        assert np.abs(np.clip(got, low, high) - expected).max() < 2 * step, name
    assert 10 < sum(shares) < len(names) - 10


def without_background(scores: np.ndarray) -> np.ndarray:
    by_class = scores.reshape(*scores.shape[:-1], -1, 91)[..., 1:]
    return by_class.reshape(*scores.shape[:-1], -1)


def test_the_whole_network_finds_the_people_that_the_shipped_file_finds(network, shipped, people):
    _, model = network
    scores = next(
        levels(shipped, x["index"])[0][0]
        for x in shipped.get_output_details()
        if x["shape"][-1] == 91
    )
    image = people[None].astype(np.float32) / 127.5 - 1
    _, logits = (np.asarray(x)[0] for x in model(image, training=False))
    got, expected = 1 / (1 + np.exp(-logits[:, LABELS.index("person")])), scores[:, 1]
    assert got[np.argsort(-expected)[:5]].min() > 0.5
    assert np.corrcoef(got, expected)[0, 1] > 0.75
    assert 1 / (1 + np.exp(-logits[:, LABELS.index("deer")])).max() < 0.1  # it has no such class


def test_post_training_rounding_keeps_the_scores_of_people(network, people):
    design, model = network
    image = people[None].astype(np.float32) / 127.5 - 1
    person = LABELS.index("person")
    rounded, exact = (
        tf().sigmoid(x(image, training=False)[1][0, :, person]).numpy()
        for x in (twin_of(model, design, image), model)
    )
    assert exact.max() > 0.6
    assert np.corrcoef(rounded, exact)[0, 1] > 0.97  # .983 measured; the shipped file has .79


@pytest.mark.parametrize("labels", [("person", "deer", "cow", "boar"), ("cow", "person")])
def test_classes_that_coco_has_keep_their_heads_in_any_order(labels, network):
    """Four classes have an unused column before them."""
    design, model = started(*labels)
    for number in range(6):
        for weight in (0, 1):
            for label in set(labels) & {"person", "cow"}:
                one, other = (
                    m.get_layer(f"logits{number}")
                    .get_weights()[weight]
                    .reshape(-1, d.columns)[:, d.first_class_column + d.labels.index(label)]
                    for d, m in ((design, model), network)
                )
                assert np.ptp(one) > 0.1
                assert np.array_equal(one, other)


@pytest.fixture
def eager():
    """Without a graph, whose making takes longer than a few steps."""
    tf().config.run_functions_eagerly(True)
    yield
    tf().config.run_functions_eagerly(False)


def test_only_the_heads_change_while_the_rest_is_frozen(eager):
    design = Design(labels=("person", "deer"), size_px=64, alpha=0.125)
    model = float_network(design)
    optimizer = make_optimizer(model, 1e-3, 10, thaw=Thaw(4, 1e-3))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    rows = len(anchors_of(design))
    classes = np.zeros((2, rows), np.int32)
    classes[:, [5, 100, 124]] = 1  # an object on each of the three maps
    changed = []
    for frozen in (True, False):
        step = make_step(model, optimizer, head_of(design), frozen=frozen)
        before = [v.numpy() for v in model.variables]
        for _ in range(4):
            step(images, np.ones((2, rows, 4), np.float32), classes)
        pairs = zip(before, model.variables, strict=True)
        changed.append({v.path for x, v in pairs if not np.array_equal(x, v)})
    trained = {v.path for v in model.trainable_variables}
    assert changed[0] == {path for path in trained if path.startswith(("codes", "logits"))}
    assert {"conv0/kernel", "conv0.normalized/moving_mean", "codes0/kernel"} < changed[1]


def test_a_training_rises_twice_with_a_thaw_between():
    got = rates_with_thaw(1e-3, 100, Thaw(40, 5e-4))
    assert len(got) == 100
    assert got[0] == got[40] == 0
    assert got[:40].max() == pytest.approx(1e-3)
    assert got[40:].max() == pytest.approx(5e-4)
    assert max(got[39], got[99]) < 2e-5
    assert len(rates_with_thaw(1e-3, 10, Thaw(10, 5e-4))) == 10


def test_a_run_starts_from_another_runs_weights(tmp_path):
    old = Run(
        design=Design(labels=("deer", "person"), size_px=64, alpha=0.125),
        training=Training(dataset="", split="", steps=1),
    )
    model = float_network(old.design)
    create(tmp_path, old)
    save_checkpoint(tmp_path, state(model, make_optimizer(model, 1e-3, 10), 1, 0.0))
    start = str(tmp_path)
    new = Run(
        design=design_from(start, ("boar", "deer"), 0),
        training=Training(dataset="", split="", steps=1, start=start),
    )
    assert msgspec.structs.replace(new.design, labels=old.design.labels) == old.design
    other = float_network(new.design)
    fresh = other.get_layer("logits0").get_weights()[0]
    set_start(other, new)
    for layer in model.layers:
        if not layer.name.startswith("logits") or "." in layer.name:
            for one, same in zip(
                layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True
            ):
                assert np.array_equal(one, same)
    first, kernel = (m.get_layer("logits0").get_weights()[0] for m in (model, other))
    assert np.array_equal(kernel[..., 1::2], first[..., 0::2])  # deer
    assert np.array_equal(kernel[..., 0::2], fresh[..., 0::2])  # boar


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return drawn_objects.make(tmp_path_factory.mktemp("drawn") / "shapes")


@pytest.fixture(scope="module")
def old(dataset, tmp_path_factory) -> Path:
    """A run that others start from."""
    folder = tmp_path_factory.mktemp("runs") / "old"
    done = completed(
        *("fit", dataset, "--out", folder, "--size-px", 64, "--alpha", 0.125, "--batch", 4),
        *("--steps", 2),
    )
    assert done.returncode == 0, done.stderr
    return folder


def from_run(dataset: Path, old: Path, folder: Path) -> list[str]:
    return edge_train(
        *("fit", dataset, "--out", folder, "--from", old, "--batch", 4, "--steps", 110),
        *("--freeze", 0.6),
    )


def test_a_run_killed_before_its_thaw_ends_like_one_that_was_not(dataset, old, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    subprocess.run(from_run(dataset, old, alone), check=True, capture_output=True, timeout=600)
    with subprocess.Popen(from_run(dataset, old, killed), stderr=subprocess.DEVNULL) as process:
        while not (killed / "checkpoint.npz").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert load_checkpoint(killed).step == 50 < load(killed).training.freeze_steps == 66
    resume = edge_train("fit", "--out", killed, "--resume")
    subprocess.run(resume, check=True, capture_output=True, timeout=600)
    first, second = load_checkpoint(alone), load_checkpoint(killed)
    assert first.step == second.step == 110
    for one, other in zip(first.weights, second.weights, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(first.optimizer, second.optimizer, strict=True):
        assert np.array_equal(one, other)


@pytest.fixture(scope="module")
def fine(dataset, tmp_path_factory) -> Path:
    """A short training that starts from COCO's weights, exported."""
    folder = tmp_path_factory.mktemp("runs") / "fine"
    fitted = completed(
        *("fit", dataset, "--out", folder, "--from", "coco_v3", "--size-px", 64, "--batch", 2),
        *("--steps", 2, "--freeze", 1, "--pictures", 20),
    )
    assert fitted.returncode == 0, fitted.stderr
    exported = completed("export", folder, "--no-qat")
    assert exported.returncode == 0, exported.stderr
    return folder


def test_the_settings_of_a_start_are_stored(fine):
    run = load(fine)
    assert (run.training.start, run.training.freeze_steps, run.training.pictures) == (COCO, 2, 20)
    assert (run.design.backbone, run.design.size_px) == ("mobilenet_v3_large", 64)
    assert len(training_pictures(run.training).pictures) == 20


def test_the_exported_file_runs_in_the_daemons_detector_and_its_card_names_the_start(fine):
    detector = open_model(str(fine / "fine.tflite"))
    interpreter = Interpreter(model_content=read_file(fine / "fine.tflite").flatbuffer)
    interpreter.allocate_tensors()
    assert is_whole_in_xnnpack(interpreter)
    assert (detector.labels, detector.input_size) == (drawn_objects.LABELS, (64, 64))
    text = (fine / "fine.md").read_text()
    assert "| started from | coco_ssdlite_mobilenet_v3_large_int8 (Apache-2.0); " in text
    assert "| trained on | shapes, split train: 20 pictures" in text
    for kind in ("float", "int8, post-training"):
        assert f"| {kind} |" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--alpha", 0.5), "--from and --alpha: the network is that of --from"),
        (("--backbone", "fire"), "--from and --backbone: the network is that of --from"),
    ],
)
def test_another_network_than_the_starts_is_refused(options, sentence, dataset, tmp_path):
    done = completed("fit", dataset, "--out", tmp_path / "run", "--from", "coco_v3", *options)
    assert (done.returncode, sentence in done.stderr) == (2, True)


def test_a_start_that_is_no_run_is_refused(dataset, tmp_path):
    done = completed("fit", dataset, "--out", tmp_path / "run", "--from", tmp_path)
    assert (done.returncode, "not a run of edge-train fit" in done.stderr) == (1, True)
