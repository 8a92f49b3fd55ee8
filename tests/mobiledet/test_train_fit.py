"""From a dataset to a file for the daemon: trains real, small networks. Needs TensorFlow."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: nothing was trained")

from edge.errors import PermanentError
from mobiledet.models import open_model
from mobiledet.run import load_checkpoint
from tests.support import drawn_objects
from tests.support.training import completed, edge_train

pytestmark = pytest.mark.timeout(900)  # the first test trains for over a minute on an idle core

STEPS = 900
INT8_BOUND = 0.03  # loss of mAP; a real run loses up to a hundredth, but few pictures are coarse


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
    (folder / "stderr").write_text(exported.stderr)
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


def test_int8_is_as_good_as_float_in_all_three_ways(run):
    figures = json.loads((run / "figures.json").read_bytes())
    by_kind = {row["kind"]: row for row in figures["variants"]}
    assert set(by_kind) == {
        "float", "int8, post-training", "int8, bias-corrected", "int8, quantization-aware",
    }  # fmt: skip
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


def test_no_library_writes_to_standard_error_during_an_export(run):
    assert (run / "stderr").read_text().strip() == ""  # the progress display ends with empty lines


def test_a_file_is_evaluated_as_its_run_was(run, dataset, tmp_path):
    out = tmp_path / "figures.json"
    done = completed("evaluate", run / "shapes.tflite", dataset, "--split", "val", "--json", out)
    assert done.returncode == 0, done.stderr
    figures = json.loads((run / "figures.json").read_bytes())
    chosen = next(v for v in figures["variants"] if v["kind"] == figures["chosen"])
    assert json.loads(out.read_bytes())["map"] == pytest.approx(chosen["report"]["map"], abs=1e-4)


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


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(PermanentError, match="no checkpoint yet"):
        load_checkpoint(tmp_path)
