"""Reads a configuration file, overrides single keys and validates the result.

`edge.config.schema` defines the keys. All problems are reported at once, so that a person corrects
a file in one pass: each with file, line, key and the value that is expected.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.config.checks import contradictions
from edge.config.schema import MAX_ROWS, Section, Settings, section_of_list
from edge.config.words import expected_words, most_entries, suggestion, toml_value
from edge.errors import ConfigError

SEARCHED = (Path("edge.toml"), Path("/etc/edge/edge.toml"))
TABLE = re.compile(r"(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?\Z")  # of a line without spaces around it
KEY = re.compile(r"""^\s*([A-Za-z0-9_."'-]+)\s*=""")
WITHIN = re.compile(r" - at `\$([^`]*)`")  # the place in a list of the value that msgspec refuses
MAX_SHOWN = 60  # characters of a wrong value that an error quotes
MAX_KEY = 200  # characters of a key that an error names; the longest real one has 30
MAX_PROBLEMS = 50  # reported at once
# The commented default file has 15 kB and 600 commas. tomllib needs 17 us per value here.
MAX_BYTES = 128 << 10
MAX_COMMAS = 20_000
MAX_DOTS = 32  # between two commas or line ends; longer keys take minutes
MAX_TEXT = 4096  # characters of one text, as the longest path of Linux
REFUSED = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, surrogates and line separators


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
    overrides = overrides or {}
    try:
        document = _document(text, path)
        for key, value in overrides.items():
            _override(document, key, _parsed(value) if isinstance(value, str) else value)
        locate = _in_file(text, path) if path is not None else str
        validation = _Validation(
            lambda key: f"command line: {key}" if key in overrides else locate(key)
        )
        return validation.settings(document)
    except RecursionError as error:
        raise ConfigError(f"{path or 'configuration'}: nested too deeply; simplify it") from error


def default_path() -> Path | None:
    """The file that `load` reads without a path; None if there is none."""
    if named := os.environ.get("EDGE_CONFIG"):
        return Path(named)
    return next(filter(_is_file, SEARCHED), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered
        return False


def read(path: Path, newline: str | None = None) -> str:
    """The text of a file. newline: as for `open`; "" keeps line ends. Raises ConfigError."""
    try:
        data = io.BytesIO(_bytes(path))
        return io.TextIOWrapper(data, "utf-8-sig", newline=newline).read()  # editors add a BOM
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path}: not UTF-8 text") from error
    except ValueError as error:  # a NUL character in the path
        raise ConfigError(f"configuration {str(path)!r}: {error}") from error


def _bytes(path: Path) -> bytes:
    """The contents of a regular file. A device is not opened, and a pipe can't block."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigError(f"configuration {path}: not a regular file; give the path of a TOML file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ConfigError(f"configuration {path}: it was replaced while it was read; try again")
        return stream.read(MAX_BYTES + 1)


def _document(text: str, path: Path | None) -> dict[str, Any]:
    """The TOML of a text whose size is bounded, as tomllib has no bounds. Raises ConfigError."""
    name = path or "configuration"
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES >> 10} kB, which no configuration needs")
    pieces = re.split(r"[,\n]", text)
    dots = max((p.count(".") for p in pieces if not p.lstrip().startswith("#")), default=0)
    if text.count(",") > MAX_COMMAS or dots > MAX_DOTS:
        raise ConfigError(f"{name}: it has far more values than there are settings")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and numbers with thousands of digits
        raise ConfigError(f"{name}: not valid TOML: {error}") from error


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
        """within: the place in the key's value, such as `[1]`. Raises ConfigError for too many."""
        if len(self._problems) == MAX_PROBLEMS:
            raise ConfigError([*self._problems, "there are more problems than are shown here"])
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
            shown_name = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}…"
            inner_key = f"{key}.{shown_name}" if key else shown_name
            if name in fields:
                values[name] = self._value(fields[name].type, inner, inner_key)
            else:
                self._report(inner_key, f"unknown key{_instead(shown_name, fields, key)}")
        for name, field in fields.items():
            if field.required and name not in value:
                self._report(key, f"the key {name} is missing")
        return kind(**values) if len(self._problems) == before else None

    def _value(self, kind: Any, value: object, key: str) -> Any:
        """Converts the value of a key; None after a problem."""
        if isinstance(kind, type) and issubclass(kind, Section):
            return self._section(kind, value, key)
        if element := section_of_list(kind):
            return self._rows(element, value, key)
        if isinstance(value, list) and len(value) > (most := most_entries(kind)):
            self._report(key, f"{len(value)} entries found, expected up to {most}")
            return None
        try:
            converted = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            where = WITHIN.search(str(error))
            within = where.group(1) if where else ""
            self._report(key, f"{_shown(value)} found, expected {expected_words(kind)}", within)
            return None
        if problem := next(_problems_of_text(converted), ""):
            self._report(key, problem)
            return None
        return self._expanded(converted, key) if _is_path(kind) and converted else converted

    def _rows(self, element: type[Section], value: object, key: str) -> Any:
        """Converts the sections of a list; None after a problem."""
        if not isinstance(value, list):
            self._report(key, f"{_shown(value)} found, expected [[{key}]] sections")
            return None
        if len(value) > MAX_ROWS:
            self._report(key, f"{len(value)} sections found, expected up to {MAX_ROWS}")
            return None
        rows = enumerate(value)
        return tuple(self._section(element, row, f"{key}[{index}]") for index, row in rows)

    def _expanded(self, path: str, key: str) -> str | None:
        """A path with the home folder in place of ~; None after a problem."""
        try:
            return str(Path(path).expanduser())
        except RuntimeError:
            self._report(key, f"{_shown(path)} begins with the home folder of an unknown user")
            return None


def _problems_of_text(value: object) -> Iterator[str]:
    """A sentence for each text that is too long or has characters that can't be shown or sent."""
    if isinstance(value, tuple):
        for part in value:
            yield from _problems_of_text(part)
    elif isinstance(value, str):
        if len(value) > MAX_TEXT:
            yield f"{_shown(value)} found, expected up to {MAX_TEXT} characters"
        if any(unicodedata.category(character) in REFUSED for character in value):
            yield f"{_shown(value)} found, expected text without control characters"


def _is_path(kind: Any) -> bool:
    """Whether a key is declared as `schema.PathText`."""
    metas = (meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return any((meta.extra or {}).get("path") for meta in metas)


def _parsed(text: str) -> object:
    try:
        return _document(f"value = {text}", None)["value"]
    except ConfigError:
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
    try:
        text = "a section" if isinstance(value, dict) else toml_value(value)
    except (ValueError, RecursionError):  # thousands of digits; thousands of brackets
        text = "a value"
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "…"


def _in_file(text: str, path: Path) -> Callable[[str], str]:
    """Returns a function from a dotted key to `file:line: key`."""
    lines = dict(_lines(text))
    return lambda key: f"{path}:{_line_of(key, lines)}: {key}"


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Keys of a valid file with their line numbers; continued lines of a value are skipped."""
    section, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if table := TABLE.match(line.strip()):
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
    if len(key) > MAX_KEY:
        return 1
    while key not in lines:
        shorter = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", key)
        if shorter == key:
            return 1
        key = shorter
    return lines[key]
