"""Applies new settings to a running daemon, as far as that is possible without a restart of it."""

from __future__ import annotations

from typing import Final

import msgspec

from edge.config.schema import NO_LINE, Settings
from edge.daemon.governor import Governor
from edge.daemon.parts import Parts
from edge.errors import ConfigError
from edge.hooks.command import check_program
from edge.vision.build import build_pipeline, check_labels
from edge.vision.detector import Detector

# Who takes up a changed section while it runs. A change of any other section starts a new daemon.
LIVE: Final = {
    "motion": "pipeline",
    "regions": "pipeline",
    "scheduler": "pipeline",
    "tracker": "pipeline",
    "zones": "pipeline and reporter",
    "lines": "reporter",
    "triggers": "pipeline; hooks and captures follow the rule of each event",
    "mutes": "pipeline",
    "governor": "governor",
    "mqtt": "nobody: the MQTT bridge is a program of its own",
    "notify": "nobody: the bridge for pushes is a program of its own",
    "upload": "nobody: the next `edge upload` reads it",
}


def changed(before: Settings, after: Settings) -> list[str]:
    """Names of the sections that differ."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return [name for name in old if old[name] != new[name]]


def can_be_live(before: Settings, after: Settings) -> bool:
    """Whether a running daemon can take up all changes."""
    sections_fit = all(name in LIVE for name in changed(before, after))
    return sections_fit and _opened_by_rules(before) == _opened_by_rules(after)


def _opened_by_rules(settings: Settings) -> tuple[object, ...]:
    """The parts that a daemon opens at its start because a rule needs them."""
    lines = {rule.gpio for rule in settings.triggers} - {NO_LINE}
    return settings.captures_clips, lines, any(rule.exec for rule in settings.triggers)


class LiveSettings:
    """Replaces the settings of the running parts of one daemon. Any thread may call it."""

    def __init__(self, parts: Parts, governor: Governor, detector: Detector) -> None:
        self._parts = parts
        self._governor = governor
        self._detector = detector

    def __call__(self, settings: Settings) -> None:
        """Takes settings for which `can_be_live` holds; the next frame is analysed with them.

        Tracks, cooldowns, background, counters and sequence numbers stay. Raises ConfigError, or
        any error of the stages that can't use the settings, before anything is changed.
        """
        self._check(settings)
        self._parts.settings = settings
        self._parts.analysis.apply(settings)
        self._governor.apply(settings.governor)

    def _check(self, settings: Settings) -> None:
        """Tries everything that could fail, a pipeline of these settings included."""
        if problems := check_labels(settings, self._detector.labels, self._detector.groups):
            raise ConfigError(problems)
        for rule in settings.triggers:
            if rule.exec:
                check_program(rule.name, rule.exec)
        if (info := self._parts.acquisition.info) is not None:
            build_pipeline(settings, self._detector, info)
