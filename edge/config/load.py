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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.config.checks import contradictions
from edge.config.dropins import drop_ins, merge
from edge.config.masking import MASK
from edge.config.schema import MAX_ROWS, Section, Settings, is_marked, section_of_list
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
_File = tuple[Path | None, str, dict[str, Any]]  # with its text and what is valid of it
REFUSED = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, surrogates and line separators


def load(
    path: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    fallbacks: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of a file, with dotted keys replaced by `overrides`.

    path: None searches $EDGE_CONFIG, ./edge.toml and /etc/edge/edge.toml, and takes the defaults if
    none of them exists. A string in `overrides` is read as a TOML value if it is one, otherwise as
    text. fallbacks: values in place of defaults, for keys that neither the file nor `overrides`
    set. Raises ConfigError with every problem.
    """
    path = path or default_path()
    return loads("" if path is None else read(path), path, overrides, fallbacks)


def loads(
    text: str,
    path: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    fallbacks: Mapping[str, object] | None = None,
) -> Settings:
    """Like `load`, from text. path: the file that errors name, and that has drop-ins."""
    broken: list[str] = []
    try:
        files: list[_File] = [(path, *_parsed_file(text, path, broken))]
        later = drop_ins(path) if path is not None else []
        files += [(file, *_parsed_file(read(file), file, broken)) for file in later]
        document: dict[str, Any] = {}
        for _, _, part in files:
            merge(document, part)
        given = dict(overrides or {})
        _override(document, given)
        missing = {k: v for k, v in (fallbacks or {}).items() if not _is_set(document, k)}
        _override(document, missing)
        given |= missing
        locate = str if path is None else _in_files([(f, text) for f, text, _ in files if f])
        return _Validation(
            lambda key: f"command line: {key}" if key in given else locate(key), broken
        ).settings(document)
    except RecursionError as error:
        raise ConfigError(f"{path or 'configuration'}: nested too deeply; simplify it") from error


def default_path() -> Path | None:
    """The file that `load` reads without a path; None if there is none."""
    if named := os.environ.get("EDGE_CONFIG"):
        return Path(named)
    return next(filter(_is_file, SEARCHED), None)


def files_of(path: Path | None) -> list[Path]:
    """The files that `load` reads for a path: it and its drop-ins. Raises ConfigError."""
    path = path or default_path()
    return [] if path is None else [path, *drop_ins(path)]


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
    if str(path) == os.devnull:  # the usual way to ask for the defaults
        return b""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigError(f"configuration {path}: not a regular file; give the path of a TOML file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ConfigError(f"configuration {path}: it was replaced while it was read; try again")
        return stream.read(MAX_BYTES + 1)


def _parsed_file(text: str, path: Path | None, broken: list[str]) -> tuple[str, dict[str, Any]]:
    """The text and its TOML, without the statements that are not valid.

    broken: receives a sentence for each of those. Raises ConfigError for too large a text, as
    tomllib has no bounds.
    """
    name = path or "configuration"
    _refuse_large(text, name)
    try:
        return text, tomllib.loads(text)
    except ValueError:  # TOMLDecodeError, and numbers with thousands of digits
        from edge.config.syntax import without_errors  # only a wrong file needs it

        text, document, errors = without_errors(text)
        broken += [f"{name}:{line}: not valid TOML: {sentence}" for line, sentence in errors]
        return text, document


def _refuse_large(text: str, name: object) -> None:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES >> 10} kB, which no configuration needs")
    pieces = re.split(r"[,\n]", text)
    dots = max((p.count(".") for p in pieces if not p.lstrip().startswith("#")), default=0)
    if text.count(",") > MAX_COMMAS or dots > MAX_DOTS:
        raise ConfigError(f"{name}: it has far more values than there are settings")


class _Validation:
    """Converts a parsed file to settings and collects every problem."""

    def __init__(self, locate: Callable[[str], str], broken: Sequence[str] = ()) -> None:
        """locate: turns a dotted key into its place for a person, such as `file:line: key`.

        broken: problems of the statements that were left out of the document.
        """
        self._locate = locate
        self._incomplete = bool(broken)
        self._problems = list(broken)

    def settings(self, document: dict[str, Any]) -> Settings:
        """Raises ConfigError with every problem."""
        settings: Settings | None = self._section(Settings, document, "")
        if settings is not None and not self._incomplete:
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
        missing = [name for name, field in fields.items() if field.required and name not in value]
        if not self._incomplete:
            for name in missing:
                self._report(key, f"the key {name} is missing")
        return kind(**values) if len(self._problems) == before and not missing else None

    def _value(self, kind: Any, value: object, key: str) -> Any:
        """Converts the value of a key; None after a problem."""
        if isinstance(kind, type) and issubclass(kind, Section):
            return self._section(kind, value, key)
        if element := section_of_list(kind):
            return self._rows(element, value, key)
        if isinstance(value, list) and len(value) > (most := most_entries(kind)):
            self._report(key, f"{len(value)} entries found, expected up to {most}")
            return None
        secret = is_marked(kind, "secret")
        try:
            converted = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            where = WITHIN.search(str(error))
            within = where.group(1) if where else ""
            found = MASK if secret else _shown(value)
            self._report(key, f"{found} found, expected {expected_words(kind)}", within)
            return None
        if problem := next(_problems_of_text(converted), ""):
            self._report(key, problem.replace(_shown(converted), MASK) if secret else problem)
            return None
        return (
            self._expanded(converted, key) if is_marked(kind, "path") and converted else converted
        )

    def _rows(self, element: type[Section], value: object, key: str) -> Any:
        """Converts the sections of a list; None after a problem."""
        if not isinstance(value, list):
            hidden = any(is_marked(f.type, "secret") for f in msgspec.structs.fields(element))
            found = MASK if hidden else _shown(value)
            self._report(key, f"{found} found, expected [[{key}]] sections")
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


def _parsed(text: str) -> object:
    try:
        _refuse_large(text, "value")
        return tomllib.loads(f"value = {text}")["value"]
    except (ConfigError, ValueError):
        return text


def _is_set(document: Mapping[str, Any], key: str) -> bool:
    """Whether a dotted key, or something in place of its section, is in the document."""
    for part in key.split("."):
        if not isinstance(document, dict):
            return True
        if part not in document:
            return False
        document = document[part]
    return True


def _override(document: dict[str, Any], values: Mapping[str, object]) -> None:
    """Sets dotted keys; texts are read as TOML values if they are some."""
    for key, value in values.items():
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            inner = section.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError(
                    f"command line: {key}: {parent} is not a section; change it in a file instead"
                )
            section = inner
        section[last] = _parsed(value) if isinstance(value, str) else value


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


def _in_files(files: Sequence[tuple[Path, str]]) -> Callable[[str], str]:
    """Returns a function from a dotted key to `file:line: key`. files: later ones override."""
    lines = {key: f"{path}:{line}" for path, text in files for key, line in _lines(text)}
    return lambda key: f"{_place_of(key, lines) or f'{files[0][0]}:1'}: {key}"


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


def _place_of(key: str, lines: Mapping[str, str]) -> str:
    """The place of the key, or of the nearest key or section around it; otherwise empty."""
    if len(key) > MAX_KEY:
        return ""
    while key not in lines:
        shorter = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", key)
        if shorter == key:
            return ""
        key = shorter
    return lines[key]
