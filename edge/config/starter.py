"""Writes a first configuration: the commented defaults with a person's answers set in them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.config.explain import commented
from edge.config.schema import DEFAULT_MODEL, Settings
from edge.config.words import toml_value

MANY_CLASSES = "coco_ssdlite_mobilenet_v3_large_int8"  # for labels that the default model lacks
GROUPS: Mapping[str, tuple[str, ...]] = {
    "people": ("person",),
    "animals": ("animal",),  # these two are groups of labels (edge/vision/detector/groups.py)
    "vehicles": ("vehicle",),
}

Rule = tuple[str, tuple[str, ...]]  # name and labels


@dataclass(frozen=True, slots=True)
class Answers:
    """watch_for: one entry for each rule, with names of GROUPS or labels separated by commas.

    model: None chooses one by the labels.
    """

    source: str
    watch_for: tuple[str, ...] = ("people",)
    captures: str = "captures"
    camera: str = "cam0"
    model: str | None = None


def likely_source(root: Path = Path("/")) -> str:
    """The camera that seems to be connected, otherwise a drawn scene to begin with."""
    if importlib.util.find_spec("picamera2") is not None:
        return "picamera2:0"
    devices = sorted(root.glob("dev/video[0-9]*"))
    return f"v4l2:/{devices[0].relative_to(root)}" if devices else "synthetic:people"


def model_for(answers: Answers) -> str:
    """The model in the answers, otherwise the smallest that knows all labels."""
    labels = {label for _, labels in _rules(answers) for label in labels}
    return answers.model or (DEFAULT_MODEL if labels <= {"person"} else MANY_CLASSES)


def starter(answers: Answers) -> str:
    """The text of a configuration file."""
    (name, labels), *others = _rules(answers)
    values: dict[tuple[str, str], object] = {
        ("", "camera"): answers.camera,
        ("source", "uri"): answers.source,
        ("model", "file"): model_for(answers),
        ("capture", "directory"): answers.captures,
        ("triggers", "name"): name,
        ("triggers", "labels"): labels,
    }
    if answers.camera != Settings().camera:  # each camera of a machine needs its own endpoint
        values["bus", "endpoint"] = f"ipc:///tmp/edge-{answers.camera}.ipc"
    lines, section = [], ""
    for line in commented().splitlines():
        if header := re.fullmatch(r"#?\[+(\w+)\]+", line):
            section = header.group(1)
            lines += _further_rules(others) if section == "capture" else []
            line = line.removeprefix("#") if section == "triggers" else line
        elif (key := re.match(r"#(\w+) = ", line)) and (section, key.group(1)) in values:
            line = f"{key.group(1)} = {toml_value(values[section, key.group(1)])}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _rules(answers: Answers) -> list[Rule]:
    rules = []
    for text in answers.watch_for:
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        labels = tuple(label for word in words for label in GROUPS.get(word, (word,)))
        rules.append((re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(words))[:64] or "any", labels))
    return rules


def _further_rules(rules: Sequence[Rule]) -> list[str]:
    """Sections for the rules after the first; keys that keep their default are left out."""
    return [
        line
        for name, labels in rules
        for line in (
            "[[triggers]]",
            f"name = {toml_value(name)}",
            f"labels = {toml_value(labels)}",
            "",
        )
    ]
