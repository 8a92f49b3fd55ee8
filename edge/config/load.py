"""Reads a configuration file, overrides single keys and validates the result.

`edge.config.schema` defines the keys. All problems are reported at once, so that a person corrects
a file in one pass: each with file, line, key and the value that is expected.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.config.checks import contradictions
from edge.config.schema import Section, Settings, section_of_list
from edge.config.words import expected_words, suggestion, toml_value
from edge.errors import ConfigError

SEARCHED = (Path("edge.toml"), Path("/etc/edge/edge.toml"))
TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(r"""^\s*([A-Za-z0-9_."'-]+)\s*=""")
WITHIN = re.compile(r" - at `\$([^`]*)`")  # the place in a list of the value that msgspec refuses
MAX_SHOWN = 60  # characters of a wrong value that an error quotes


def load(path: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings of a file, with dotted keys replaced by `overrides`.

    path: None searches $EDGE_CONFIG, ./edge.toml and /etc/edge/edge.toml, and takes the defaults if
    none of them exists. A string in `overrides` is read as a TOML value if it is one, otherwise as
    text. Raises ConfigError with every problem.
    """
    path = path or default_path()
    return loads("" if path is None else read(path), path, overrides)


def loads(
    text: str, path: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """Like `load`, from text. path: the file that errors name."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path or 'configuration'}: not valid TOML: {error}") from error
    overrides = overrides or {}
    for key, value in overrides.items():
        _override(document, key, _parsed(value) if isinstance(value, str) else value)
    locate = _in_file(text, path) if path is not None else str
    validation = _Validation(
        lambda key: f"command line: {key}" if key in overrides else locate(key)
    )
    return validation.settings(document)


def default_path() -> Path | None:
    """The file that `load` reads without a path; None if there is none."""
    if named := os.environ.get("EDGE_CONFIG"):
        return Path(named)
    return next((path for path in SEARCHED if path.is_file()), None)


def read(path: Path, newline: str | None = None) -> str:
    """The text of a file. newline: as for `open`; "" keeps line ends. Raises ConfigError."""
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as stream:  # editors add a BOM
            return stream.read()
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path}: not UTF-8 text") from error


class _Validation:
    """Converts a parsed file to settings and collects every problem."""

    def __init__(self, locate: Callable[[str], str]) -> None:
        """locate: turns a dotted key into its place for a person, such as `file:line: key`."""
        self._locate = locate
        self._problems: list[str] = []

    def settings(self, document: dict[str, Any]) -> Settings:
        """Raises ConfigError with every problem."""
        settings: Settings | None = self._section(Settings, document, "")
        if settings is not None:
            for key, sentence in contradictions(settings):
                self._report(key, sentence)
        if self._problems or settings is None:
            raise ConfigError(self._problems)
        return settings

    def _report(self, key: str, sentence: str, within: str = "") -> None:
        """within: the place in the key's value, such as `[1]`."""
        self._problems.append(f"{self._locate(key)}{within}: {sentence}")

    def _section(self, kind: type[Section], value: object, key: str) -> Any:
        """Converts field by field, so that every problem is reported; None after a problem."""
        if not isinstance(value, dict):
            self._report(key, f"{_shown(value)} found, expected a section {_header(key)}")
            return None
        before = len(self._problems)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        values = {}
        for name, inner in value.items():
            inner_key = f"{key}.{name}" if key else name
            if name in fields:
                values[name] = self._value(fields[name].type, inner, inner_key)
            else:
                self._report(inner_key, f"unknown key{_instead(name, fields, key)}")
        for name, field in fields.items():
            if field.required and name not in value:
                self._report(key, f"the key {name} is missing")
        return kind(**values) if len(self._problems) == before else None

    def _value(self, kind: Any, value: object, key: str) -> Any:
        """Converts the value of a key; None after a problem."""
        if isinstance(kind, type) and issubclass(kind, Section):
            return self._section(kind, value, key)
        if element := section_of_list(kind):
            if isinstance(value, list):
                rows = enumerate(value)
                return tuple(self._section(element, row, f"{key}[{i}]") for i, row in rows)
            self._report(key, f"{_shown(value)} found, expected [[{key}]] sections")
            return None
        try:
            converted = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            where = WITHIN.search(str(error))
            within = where.group(1) if where else ""
            self._report(key, f"{_shown(value)} found, expected {expected_words(kind)}", within)
            return None
        return str(Path(converted).expanduser()) if _is_path(kind) and converted else converted


def _is_path(kind: Any) -> bool:
    """Whether a key is declared as `schema.PathText`."""
    metas = (meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return any((meta.extra or {}).get("path") for meta in metas)


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _override(document: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = document.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"command line: {key}: {parent} is not a section; change it in a file instead"
            )
        document = inner
    document[last] = value


def _instead(name: str, known: Mapping[str, object], section: str) -> str:
    """The end of an error for an unknown key: the nearest known one, or a command that helps."""
    explained = re.sub(r"\[\d+\]", "[]", section)
    command = f"edge config explain {explained}".strip()
    return suggestion(name, known) or f"; `{command}` lists the known ones"


def _header(key: str) -> str:
    name, is_row, _ = key.partition("[")
    return f"[[{name}]]" if is_row else f"[{name}]"


def _shown(value: object) -> str:
    text = "a section" if isinstance(value, dict) else toml_value(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "…"


def _in_file(text: str, path: Path) -> Callable[[str], str]:
    """Returns a function from a dotted key to `file:line: key`."""
    lines = dict(_lines(text))
    return lambda key: f"{path}:{_line_of(key, lines)}: {key}"


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Keys of a valid file with their line numbers; continued lines of a value are skipped."""
    section, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if table := TABLE.match(line):
            section = ".".join(part.strip(" \"'") for part in table.group(2).split("."))
            if table.group(1) == "[[":
                counts[section] = counts.get(section, -1) + 1
                section = f"{section}[{counts[section]}]"
            yield section, number
        elif key := KEY.match(line):
            parts = [section, *(part.strip(" \"'") for part in key.group(1).split("."))]
            yield ".".join(filter(None, parts)), number


def _line_of(key: str, lines: Mapping[str, int]) -> int:
    """The line of the key, or of the nearest key or section around it; otherwise 1."""
    while key not in lines:
        shorter = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", key)
        if shorter == key:
            return 1
        key = shorter
    return lines[key]
