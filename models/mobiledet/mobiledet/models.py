"""Opens a model without rules, for teachers and measurements."""

from __future__ import annotations

import msgspec

from edge.config.schema import ModelSettings, Settings
from edge.vision.build import build_detector
from edge.vision.detector import Detector

# One thread, as for the latencies on a model card.
ALONE = Settings(model=ModelSettings(threads=1))


def open_model(name: str, settings: Settings = ALONE) -> Detector:
    """The daemon's detector. name: from `edge models list`, or a path. Raises ModelError."""
    model = msgspec.structs.replace(settings.model, file=name)
    return build_detector(msgspec.structs.replace(settings, model=model, triggers=()))
