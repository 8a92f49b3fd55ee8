"""Builds a checked pipeline from settings, model and source, the same way for every program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.config.schema import MOTION_LABEL, Settings
from edge.config.words import suggestion
from edge.errors import ConfigError
from edge.vision.clock import StageClock, untimed
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.pipeline import DetectorLike, Pipeline
from edge.vision.types import SourceInfo

MOST_LISTED = 12  # labels in an error; COCO has 90


def build_detector(settings: Settings) -> Detector:
    """Loads the model that the settings name and checks that it knows the labels of all rules.

    Raises ModelError for a model that is missing or can't run, ConfigError for a label that it
    doesn't have.
    """
    detector = Detector(settings.model, find_model(settings.model.file))
    _require_labels(settings, detector)
    return detector


def build_pipeline(
    settings: Settings,
    detector: DetectorLike,
    info: SourceInfo,
    clock: StageClock = untimed,
    last_events_ns: dict[str, int] | None = None,
) -> Pipeline:
    """A pipeline for the frames of one open source. Raises ConfigError as `build_detector`.

    clock: entered around each stage's work, for benchmarks. last_events_ns: as for `Triggers`.
    """
    _require_labels(settings, detector)
    return Pipeline(settings, detector, info.luma_shape, info.main_size, clock, last_events_ns)


def _require_labels(settings: Settings, detector: DetectorLike) -> None:
    if problems := check_labels(settings, detector.labels, detector.groups):
        raise ConfigError(problems)


def check_labels(
    settings: Settings, labels: Iterable[str], groups: Iterable[str] = ()
) -> list[str]:
    """One sentence for each label that is named and is none of the model, nor one of its groups."""
    known = [*labels, *sorted({*groups} - {""}), MOTION_LABEL]
    named = [
        (f"{key}[{index}].labels", row.labels)
        for key in ("triggers", "mutes", "lines")
        for index, row in enumerate(getattr(settings, key))
    ]
    named += [
        (f"triggers[{index}].unless", rule.unless) for index, rule in enumerate(settings.triggers)
    ]
    named.append(("privacy.blur", settings.privacy.blur))
    return [
        f"{key}: the model {settings.model.file} has no label {label!r}"
        + (suggestion(label, known) or _listed(known))
        for key, labels_ in named
        for label in labels_
        if label not in known
    ]


def _listed(known: Sequence[str]) -> str:
    """The labels of a model as the end of an error, or the command that prints so many."""
    if len(known) > MOST_LISTED:
        return "; `edge models info MODEL` lists its labels"
    return f"; it has {', '.join(known)}"
