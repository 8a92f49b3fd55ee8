"""Writes the keys for people: as rows, as a commented file or as Markdown; and settings as TOML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.config import words
from edge.config.masking import MASK
from edge.config.schema import Section, Settings, is_marked, section_of_list

HEAD = """\
# Configuration of edge. Every key is shown with its default, or with an example if it has none;
# remove the # to change it.
# `edge check-config FILE` checks this file, `edge config explain KEY` explains a key.
# Names end in their unit: _s seconds, _ms milliseconds, _m metres, _c degrees Celsius, _px pixels.
"""
EXAMPLES = {  # for keys that have no default, or whose section is not valid with it
    "site.latitude": "52.37403",
    "site.longitude": "4.88969",
    "site.altitude_m": "2.0",
    "site.camera_height_m": "0.6",
    "zones[].name": '"path"',
    "zones[].polygon": "[[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]",
    "triggers[].name": '"person"',
    "lines[].name": '"gate"',
    "lines[].points": "[[0.5, 0.0], [0.5, 1.0]]",
    "timelapse[].name": '"daily"',
    "notify[].name": '"phone"',
    "notify[].url_file": '"/etc/edge/phone"',
    "mutes[].box": "[0.4, 0.3, 0.6, 0.8]",
}


@dataclass(frozen=True, slots=True)
class KeyDoc:
    """One key of the reference. range: empty without limits. default: empty without one.

    required: whether it must be given; otherwise a key without a default may be absent.
    """

    key: str
    type: str
    range: str
    default: str
    description: str
    required: bool

    @property
    def name(self) -> str:
        """The key without its section."""
        return self.key.rpartition(".")[2]

    @property
    def absent(self) -> str:
        """What the reference says of a key without a default."""
        return "required" if self.required else "optional"


def explain() -> list[KeyDoc]:
    """Every key in the order of the file; keys of repeated sections are named `zones[].name`."""
    return [row for _, rows in _documented() for row in rows]


def search(text: str) -> list[KeyDoc]:
    """The keys that begin with the text, otherwise contain it, otherwise those it describes.

    A description matches if it contains all words of the text.
    """
    rows, lowered = explain(), text.lower()
    return (
        [row for row in rows if row.key.startswith(text)]
        or [row for row in rows if lowered in row.key]
        or [row for row in rows if all(w in row.description.lower() for w in lowered.split())]
    )


def without_secrets(settings: Settings) -> Settings:
    """The settings with `***` in place of passwords, tokens and private addresses."""
    source = msgspec.structs.replace(settings.source, uri=settings.source.name)
    hidden: dict[str, object] = {"source": source}
    for field in msgspec.structs.fields(settings):
        if (element := section_of_list(field.type)) and (names := _secrets(element)):
            rows = getattr(settings, field.name)
            hidden[field.name] = tuple(
                msgspec.structs.replace(row, **{n: MASK for n in names if getattr(row, n)})
                for row in rows
            )
    return msgspec.structs.replace(settings, **hidden)


def _secrets(kind: type[Section]) -> list[str]:
    return [f.name for f in msgspec.structs.fields(kind) if is_marked(f.type, "secret")]


def to_toml(settings: Settings) -> str:
    """TOML text that loads to the same settings."""
    top = [f"camera = {words.toml_value(settings.camera)}"]
    sections = []
    for name in (field.name for field in msgspec.structs.fields(settings)):
        value = getattr(settings, name)
        if isinstance(value, Section):
            sections.append(f"\n[{name}]\n{_assignments(value)}")
        elif isinstance(value, tuple):
            sections += [f"\n[[{name}]]\n{_assignments(row)}" for row in value]
            top += [] if value else [f"{name} = []"]
    return "\n".join(top + sections) + "\n"


def commented() -> str:
    """The text of a file with every key at its default, commented out."""
    parts = [HEAD]
    for header, rows in _documented():
        if header:
            parts.append(f"\n{f'#{header}' if header.startswith('[[') else header}\n")
        for row in rows:
            limits = f" ({row.range})" if row.range else ""
            value = EXAMPLES.get(row.key) or row.default
            parts.append(f"# {row.description}{limits}\n#{row.name} = {value}\n")
    return "".join(parts)


def markdown() -> str:
    """The keys as Markdown tables, one for each section."""
    parts = []
    for header, rows in _documented():
        parts.append(f"\n### `{header or 'top level'}`\n\n")
        parts.append("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
        for row in rows:
            type_ = f"{row.type}, {row.range}" if row.range else row.type
            default = f"`{row.default}`" if row.default else row.absent
            parts.append(f"| `{row.name}` | {type_} | {default} | {row.description} |\n")
    return "".join(parts).lstrip("\n")


def _documented() -> Iterator[tuple[str, list[KeyDoc]]]:
    """The header of each section, empty for the top level, with its keys."""
    top, sections = [], []
    for field in msgspec.structs.fields(Settings):
        if element := section_of_list(field.type):
            sections.append((f"[[{field.name}]]", _keys(element, f"{field.name}[]")))
        elif isinstance(field.type, type) and issubclass(field.type, Section):
            sections.append((f"[{field.name}]", _keys(field.type, field.name)))
        else:
            top.append(_key_doc(field, field.name))
    yield "", top
    yield from sections


def _keys(kind: type[Section], section: str) -> list[KeyDoc]:
    return [_key_doc(field, f"{section}.{field.name}") for field in msgspec.structs.fields(kind)]


def _key_doc(field: msgspec.structs.FieldInfo, key: str) -> KeyDoc:
    kind: Any = field.type
    return KeyDoc(
        key,
        words.type_words(kind),
        words.range_words(kind),
        "" if field.required or field.default is None else words.toml_value(field.default),
        words.description(kind),
        field.required,
    )


def _assignments(section: Section) -> str:
    values = ((f.name, getattr(section, f.name)) for f in msgspec.structs.fields(section))
    return "\n".join(
        f"{name} = {words.toml_value(value)}" for name, value in values if value is not None
    )
