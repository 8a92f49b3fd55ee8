"""A rule for a group, from the model's file to the event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.config.schema import ModelSettings, Settings, SourceSettings, TriggerRule
from edge.errors import ConfigError
from edge.sources import open_source
from edge.vision.build import build_detector, build_pipeline
from edge.vision.triggers import TriggerEvent
from tests.support import tflite


def events(settings: Settings) -> list[TriggerEvent]:
    source = open_source(settings.source)
    pipeline = build_pipeline(settings, build_detector(settings), source.open())
    found: list[TriggerEvent] = []
    while (frame := source.read()) is not None:
        found += pipeline(frame).events
    source.close()
    return found


def watching(model: Path, *labels: str) -> Settings:
    return Settings(
        source=SourceSettings(uri="synthetic:walk?duration=4&fps=10", fast=True),
        model=ModelSettings(file=str(model)),
        triggers=(TriggerRule(name="wild", labels=labels),),
    )


def test_an_animal_with_two_names_triggers_once(tmp_path: Path) -> None:
    """The model calls each thing that moves sheep and, on the same box, bear."""
    table = np.zeros((1, 300, 6), np.float32)
    table[0, :2] = [[0.2, 0.2, 0.8, 0.8, 0.8, 0], [0.21, 0.2, 0.8, 0.8, 0.7, 1]]
    path = tmp_path / "m.tflite"
    tflite.saved(path, tflite.constant_model([table]), ["sheep", "bear", "person"])
    (event,) = events(watching(path, "animal"))
    assert (event.track.label, event.track.group) == ("sheep", "animal")
    assert events(watching(path, "person")) == []
    assert len(events(watching(path, "person", "sheep"))) == 1
    with pytest.raises(ConfigError, match="has no label 'vehicle'"):
        events(watching(path, "vehicle"))
