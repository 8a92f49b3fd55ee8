"""The input's default size, and the model card's sentences. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from edge.config.schema import ModelSettings
from mobiledet.card import Subject, card
from mobiledet.cli import commands
from mobiledet.dataset import Dataset
from mobiledet.dataset.base import Origin
from mobiledet.design import DEFAULT_SIZE_PX, Design
from mobiledet.evaluation import ClassScore, Report
from mobiledet.export import CALIBRATED, CORRECTED, FLOAT, Figures, Variant
from mobiledet.models import open_model
from mobiledet.run import Run, Training


def figures(chosen: str, maps: dict[str, float]) -> Figures:
    """Figures of files with these mAP, by kind."""
    reports = {
        kind: Report(pictures=1, invocations=2, map=value, map50=0.8, precision=0.9, recall=0.9,
                     f1=0.9, classes=(ClassScore("deer", 7, 0.81, 0.9, 0.8, 0.85),))
        for kind, value in maps.items()
    }  # fmt: skip
    return Figures(
        mega_macs=20.0,
        parameters=300_000,
        training_cpu_s=10.0,
        variants=tuple(Variant(kind, 400_000, 1.0, report) for kind, report in reports.items()),
        chosen=chosen,
        reference="default",
        reference_latency_ms=6.0,
    )


def subject(training: Dataset, held_out: Dataset, size_px: int = DEFAULT_SIZE_PX) -> Subject:
    run = Run(
        design=Design(labels=("deer",), size_px=size_px),
        training=Training(dataset="deer", split="train", steps=10),
    )
    return Subject(Path("deer.tflite"), run, training, held_out, "deer, val", "")


def test_the_default_size_is_the_default_models_input():
    width, height = open_model(ModelSettings().file).input_size
    assert (width, height) == (DEFAULT_SIZE_PX, DEFAULT_SIZE_PX)
    assert Design(labels=("deer",)).size_px == DEFAULT_SIZE_PX


@pytest.mark.parametrize("name", ["fit", "compare"])
def test_commands_take_the_default_size(name):
    command = commands.get_command(click.Context(commands), name)
    (option,) = (o for o in command.params if o.name == "size_px")
    assert option.default == DEFAULT_SIZE_PX


@pytest.mark.parametrize(
    ("size_px", "sentence"),
    [(224, "holds fewer crops"), (300, "holds as many crops"), (320, "holds as many crops")],
)
def test_the_card_says_how_many_crops_a_canvas_holds(size_px, sentence):
    data = Dataset(("deer",), ())
    text = card(subject(data, data, size_px), figures(CALIBRATED, {CALIBRATED: 0.5}))
    assert sentence in text


def test_the_card_has_the_figures_of_the_chosen_file_and_its_loss_against_float():
    data = Dataset(("deer",), ())
    measured = figures(CORRECTED, {FLOAT: 0.5, CALIBRATED: 0.481, CORRECTED: 0.4973})
    text = card(subject(data, data), measured)
    assert "| file | deer.tflite: int8, bias-corrected |" in text
    assert "| int8, post-training | 0.481 | 0.800 |" in text
    assert "The mAP of this file is that of float -0.003." in text
    assert "By class, int8, bias-corrected:" in text
    assert "| deer | 7 | 0.810 | 0.900 | 0.800 | 0.850 |" in text
    alone = card(subject(data, data), figures(CALIBRATED, {CALIBRATED: 0.481}))
    assert "that of float" not in alone


def test_the_card_names_origin_and_licence_of_pasted_photographs():
    mine = Origin(("/home/me/deer",), "own photographs, CC0", ("yard.jpg", "/home/me/street.mp4"))
    other = Origin(("more",), "", ("yard.jpg",))
    training = Dataset(("deer",), (), (mine,))
    held_out = Dataset(("deer",), (), (mine, other))
    text = card(subject(training, held_out), figures(CALIBRATED, {CALIBRATED: 0.5}))
    row = "deer: own photographs, CC0; on empty scenes of yard.jpg, street.mp4"
    assert text.count(f"| photographs pasted | {row} |") == 1
    assert "| photographs pasted | more: licence not stated; on empty scenes of yard.jpg |" in text
    data = Dataset(("deer",), ())
    none = card(subject(data, data), figures(CALIBRATED, {CALIBRATED: 0.5}))
    assert "pasted" not in none
