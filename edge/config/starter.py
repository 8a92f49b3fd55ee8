"""Writes a first configuration: a person's answers, and where all other keys are explained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge.config.schema import DEFAULT_MODEL, Settings
from edge.config.words import toml_value

MANY_CLASSES = "coco_ssdlite_mobilenet_v3_large_int8"  # for labels that the default model lacks
GROUPS: Mapping[str, str] = {
    "people": "person",
    "animals": "animal",  # these two are groups of labels (edge/vision/detector/groups.py)
    "vehicles": "vehicle",
}
HEAD = """\
# Configuration of edge. Keys that are not here have their defaults:
# `edge config show --commented` prints every key with its default and its meaning,
# `edge config explain WORDS` finds keys, and `edge check-config FILE` checks this file.

"""

Rule = tuple[str, tuple[str, ...]]  # name and labels


@dataclass(frozen=True, slots=True)
class Answers:
    """watch_for: names of GROUPS or labels, also several separated by commas; a rule for each.

    model: None chooses one by the labels.
    """

    source: str
    watch_for: tuple[str, ...] = ("people",)
    captures: str = "captures"
    camera: str = "cam0"
    model: str | None = None


def model_for(answers: Answers) -> str:
    """The model in the answers, otherwise the smallest that knows all labels."""
    labels = {label for _, labels in _rules(answers) for label in labels}
    return answers.model or (DEFAULT_MODEL if labels <= {"person"} else MANY_CLASSES)


def starter(answers: Answers) -> str:
    """The text of a configuration file that has the answers only."""
    parts = [HEAD, f"camera = {toml_value(answers.camera)}\n"]
    parts.append(_section("[source]", uri=answers.source))
    parts.append(_section("[model]", file=model_for(answers)))
    parts += [
        _section("[[triggers]]", name=name, labels=labels) for name, labels in _rules(answers)
    ]
    parts.append(_section("[capture]", directory=answers.captures))
    if answers.camera != Settings().camera:  # each camera of a machine needs its own endpoint
        parts.append(_section("[bus]", endpoint=f"ipc:///tmp/edge-{answers.camera}.ipc"))
    return "".join(parts)


def _section(header: str, **values: object) -> str:
    lines = [f"{name} = {toml_value(value)}\n" for name, value in values.items()]
    return f"\n{header}\n{''.join(lines)}"


def _rules(answers: Answers) -> list[Rule]:
    """A rule for each word; the first one for two words with the same name."""
    words = [word.strip() for text in answers.watch_for for word in text.split(",")]
    rules: dict[str, tuple[str, ...]] = {}
    for word in filter(None, words):
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", word)[:64]
        rules.setdefault(name, (GROUPS.get(word, word),))
    return list(rules.items())
