"""Reads lists of labels as exporters write them, and fits them to the model's classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ModelError
from edge.vision.detector.metadata import Metadata, ultralytics_names
from edge.vision.detector.model_file import LABELS, MAX_TEXT_BYTES, read_regular

NAMELESS = "???"  # a class without a name; its detections are not reported
BACKGROUNDS = ("???", "background", "__background__", "_background_", "bg")
NUMBERED = re.compile(r"\s*(\d{1,5})[\s:,;]+(.*\S)\s*")
NOT_LABELS = ("temp_meta.txt",)
MAX_CLASSES = 10_000


@dataclass(frozen=True, slots=True)
class LabelList:
    """Labels as a file states them, by number; `NAMELESS` where it states none.

    dense: the same without blank lines. origin: the file, for messages.
    """

    names: tuple[str, ...]
    dense: tuple[str, ...]
    origin: str

    @property
    def background(self) -> bool:
        """Whether the first class is the background's."""
        return self.names[:1] != () and self.names[0].lower() in BACKGROUNDS

    @property
    def counts(self) -> set[int]:
        """The numbers of classes that this list can belong to."""
        lengths = {len(self.names), len(self.dense)}
        return lengths | ({len(self.names) - 1} if self.background else set())


def find_labels(
    path: Path, members: Mapping[str, bytes], metadata: Metadata, labels_file: str
) -> LabelList | None:
    """The labels of a model: those of the settings, attached ones, or those beside the file.

    labels_file: the setting, empty for none. Raises ModelError if a file can't be read.
    """
    if labels_file:
        chosen = Path(labels_file).expanduser()
        return parsed(read_regular(chosen, MAX_TEXT_BYTES, "labels"), str(chosen))
    if names := ultralytics_names(metadata):
        filled = tuple(name.strip() or NAMELESS for name in names)
        return LabelList(filled, filled, "the metadata of Ultralytics")
    texts = sorted(name for name in members if name.endswith(".txt") and name not in NOT_LABELS)
    for name in (*metadata.label_files, LABELS, "labelmap.txt", *texts):
        if name in members:
            return parsed(members[name], f"the attached {name}")
    for beside in (f"{path.stem}.labels.txt", f"{path.stem}.txt", "labels.txt", "labelmap.txt"):
        sibling = path.with_name(beside)
        if sibling.is_file():
            return parsed(read_regular(sibling, MAX_TEXT_BYTES, "labels"), str(sibling))
    return None


def parsed(content: bytes, origin: str) -> LabelList:
    """Labels of a text file: one on each line, or each with its number. Raises ModelError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"labels in {origin}: not UTF-8 text") from error
    lines = [line.strip() for line in text.strip("\n\r ").splitlines()] if text.strip() else []
    if text[:1] in ("\n", "\r"):  # an empty first line is a class without a name
        lines.insert(0, "")
    dense = tuple(line for line in lines if line)
    if len(lines) > MAX_CLASSES or not dense:
        raise ModelError(f"labels in {origin}: {len(dense)} names, expected 1 to {MAX_CLASSES}")
    if not all(line.isprintable() for line in dense):
        raise ModelError(f"labels in {origin}: a name has control characters")
    if (numbered := _numbered(dense)) is not None:
        return LabelList(numbered, numbered, origin)
    return LabelList(tuple(line or NAMELESS for line in lines), dense, origin)


def _numbered(lines: tuple[str, ...]) -> tuple[str, ...] | None:
    """Names by the numbers before them, if each line has one and they grow."""
    matches = [NUMBERED.fullmatch(line) for line in lines]
    found = [(int(match[1]), match[2]) for match in matches if match]
    numbers = [number for number, _ in found]
    if len(found) < len(lines) or numbers != sorted(set(numbers)) or numbers[-1] >= MAX_CLASSES:
        return None
    names = dict(found)
    return tuple(names.get(number, NAMELESS) for number in range(numbers[-1] + 1))


def fitted(found: LabelList, classes: int | None) -> tuple[tuple[str, ...], str | None]:
    """The label of each class of the model, and a sentence about a mismatch.

    classes: how many the model has, without the background; None if the file doesn't tell.
    """
    names = found.names
    if classes is not None and len(found.dense) == classes:
        names = found.dense
    elif found.background and (classes is None or len(names) != classes):
        names = names[1:]
    if classes is None or len(names) == classes:
        return names, None
    missing = tuple(f"class {number}" for number in range(len(names), classes))
    return (
        (*names[:classes], *missing),
        f"{found.origin} has {len(names)} labels, but the model has {classes} classes: names may "
        "be wrong, check the file",
    )
