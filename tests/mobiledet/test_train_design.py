"""The input's default size and the model card's sentence about it. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from edge.config.schema import ModelSettings
from mobiledet.card import Subject, card
from mobiledet.cli import commands
from mobiledet.dataset import Dataset
from mobiledet.design import DEFAULT_SIZE_PX, Design
from mobiledet.evaluation import Report
from mobiledet.export import CALIBRATED, Figures, Variant
from mobiledet.models import open_model
from mobiledet.run import Run, Training


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
    report = Report(
        pictures=1, invocations=2, map=0.5, map50=0.8, precision=0.9, recall=0.9, f1=0.9, classes=()
    )
    figures = Figures(
        mega_macs=20.0,
        parameters=300_000,
        training_cpu_s=10.0,
        variants=(Variant(CALIBRATED, 400_000, 1.0, report),),
        chosen=CALIBRATED,
        reference="default",
        reference_latency_ms=6.0,
    )
    run = Run(
        design=Design(labels=("deer",), size_px=size_px),
        training=Training(dataset="deer", split="train", steps=10),
    )
    data = Dataset(("deer",), ())
    text = card(Subject(Path("deer.tflite"), run, data, data, "deer, val", ""), figures)
    assert sentence in text
