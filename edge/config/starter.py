"""A first configuration: the commented defaults, with what somebody has answered set in it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.config.load import commented
from edge.config.schema import Settings

DEFAULT_MODEL = "person_ssdlite_mobilenet_v2_int8"
MANY_CLASSES = "coco_ssd_mobilenet_v1"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "people": ("person",),
    "animals": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "vehicles": ("bicycle", "car", "motorcycle", "bus", "truck", "boat"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """watch_for: what each rule is about, a name of GROUPS or labels with commas between."""

    source: str
    watch_for: tuple[str, ...] = ("people",)
    captures: str = "captures"
    camera: str = "cam0"
    model: str | None = None


def likely_source(root: Path = Path("/")) -> str:
    """The camera that seems to be there, else a drawn scene to begin with."""
    if importlib.util.find_spec("picamera2") is not None:
        return "picamera2:0"
    devices = sorted(root.glob("dev/video[0-9]*"))
    return f"v4l2:/{devices[0].relative_to(root)}" if devices else "synthetic:people"


def model_for(answers: Answers) -> str:
    """The one asked for; else the smallest that knows what is watched for."""
    labels = {label for rule in _rules(answers) for label in rule[1]}
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
    if answers.camera != Settings().camera:  # two cameras of one machine are two endpoints
        values["bus", "endpoint"] = f"ipc:///tmp/edge-{answers.camera}.ipc"
    lines, section = [], ""
    for line in commented().splitlines():
        if header := re.fullmatch(r"#?\[+(\w+)\]+", line):
            section = header.group(1)
            lines += _more_rules(others) if section == "capture" else []
            line = line.removeprefix("#") if section == "triggers" else line
        elif (key := re.match(r"#(\w+) = ", line)) and (section, key.group(1)) in values:
            line = f"{key.group(1)} = {_toml(values[section, key.group(1)])}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _rules(answers: Answers) -> list[tuple[str, tuple[str, ...]]]:
    """Name and labels of each."""
    rules = []
    for text in answers.watch_for:
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        labels = tuple(label for word in words for label in GROUPS.get(word, (word,)))
        rules.append((re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(words))[:64] or "any", labels))
    return rules


def _more_rules(rules: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Sections like the first, without the keys that stay as they are."""
    return [
        line
        for name, labels in rules
        for line in ("[[triggers]]", f"name = {_toml(name)}", f"labels = {_toml(labels)}", "")
    ]


def _toml(value: object) -> str:
    """JSON's strings and lists of strings are TOML's too."""
    return msgspec.json.encode(value).decode()
