"""Lengths of a training, comparisons and refusals. Trains for seconds: needs TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: nothing was trained")

from mobiledet.models import open_model
from mobiledet.run import load, load_checkpoint
from tests.support import drawn_objects
from tests.support.training import completed

pytestmark = pytest.mark.timeout(900)  # four networks are compared for a minute on an idle core


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return drawn_objects.make(tmp_path_factory.mktemp("drawn") / "shapes")


def test_a_model_without_the_datasets_classes_is_refused_in_one_sentence(dataset):
    done = completed("evaluate", "person_ssdlite_mobilenet_v2_int8", dataset)
    assert done.returncode == 1
    assert "the model's labels are person: the dataset's disc is missing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("length", [("--epochs", 1), ("--minutes", 0.02)])
def test_the_length_can_be_given_in_epochs_or_minutes(dataset, tmp_path, length):
    out = tmp_path / "run"
    done = completed("fit", dataset, "--out", out, "--size-px", 64, "--batch", 8, *length)
    assert done.returncode == 0, done.stderr
    steps = load(out).training.steps
    assert steps == 7 if length[0] == "--epochs" else 1 <= steps < 400
    assert load_checkpoint(out).step == steps


def test_two_lengths_are_refused(dataset, tmp_path):
    done = completed("fit", dataset, "--out", tmp_path, "--steps", 5, "--epochs", 5)
    assert done.returncode == 2
    assert "--steps and --epochs: give only one of them" in done.stderr


def test_kinds_of_networks_are_compared_and_continued(dataset, tmp_path):
    options = ["--size-px", 64, "--alpha", 0.125, "--batch", 4, "--steps", 5]
    chosen = ["--head", "ssd", "--head", "grid", "--extra", "depthwise"]
    where = ["--out", tmp_path / "runs", "--json", tmp_path / "rows.json"]
    command = ["compare", dataset, *options, "--backbone", "fire", *where]
    done = completed(*command, *chosen)
    assert done.returncode == 0, done.stderr
    _, *printed = (line.split() for line in done.stdout.splitlines())
    rows = json.loads((tmp_path / "rows.json").read_bytes())
    heads = ["ssd", "grid"]
    assert [row["head"] for row in rows] == [row[0] for row in printed] == heads
    for head in heads:
        name = f"{head}-fire-depthwise"
        assert f"{name}: mAP" in done.stderr
        assert open_model(str(tmp_path / "runs" / name / f"{name}.tflite")).input_size == (64, 64)
    again = completed(*command, "--extra", "ordinary", "--extra", "depthwise", "--head", "grid")
    assert again.returncode == 0, again.stderr
    ordinary, depthwise = json.loads((tmp_path / "rows.json").read_bytes())
    assert ordinary["mega_macs"] > depthwise["mega_macs"]
    assert depthwise["report"] == rows[1]["report"]
    other = completed(*command[:-4], "--seed", 5, *where, *chosen)
    assert (other.returncode, "a run with other settings" in other.stderr) == (1, True)
