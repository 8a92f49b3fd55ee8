"""The sliders of the live view against the settings that they change."""

from __future__ import annotations

import msgspec
from msgspec import inspect

from edge.config.explain import explain
from edge.config.load import loads
from edge.config.schema import MotionSettings
from edge.web.sliders import sliders


def test_each_number_of_motion_has_a_slider_within_its_range() -> None:
    kinds = {f.name: inspect.type_info(f.type) for f in msgspec.structs.fields(MotionSettings)}
    bare = {k: v.type if isinstance(v, inspect.Metadata) else v for k, v in kinds.items()}
    numbers = {key for key, kind in bare.items() if isinstance(kind, inspect.FloatType)}
    shown = sliders()
    assert {slider.key for slider in shown} == numbers
    described = {row.key: row.description for row in explain()}
    for slider in shown:
        assert slider.low <= slider.default <= slider.high
        assert slider.description == described[f"motion.{slider.key}"]
        for value in (slider.low, slider.high):
            loads(f"[motion]\n{slider.key} = {value}")
