"""Configuration files: load, validate as a whole, show and explain.

The keys, their types, ranges and meaning are those of `edge.config.schema`.
Every problem of a file is found at once and told with file, line, key and what would be right.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from edge.config.schema import NO_LINE, Section, Settings
from edge.errors import ConfigError

SEARCHED = (Path("edge.toml"), Path("/etc/edge/edge.toml"))
LONGEST_WINDOW = 16  # looks that a track remembers
UNTURNED = ("v4l2:", "rtsp:", "rtsps:", "http:", "https:")  # cameras that turn nothing

Locate = Callable[[str], str]
TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(r"""^\s*([A-Za-z0-9_."'-]+)\s*=""")
LIMITS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))


def load(path: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings of a file, with dotted keys replaced by `overrides`.

    path: None looks at $EDGE_CONFIG, ./edge.toml and /etc/edge/edge.toml, and else takes the
    defaults. Text in `overrides` is read as a TOML value, or else as it stands.
    Raises ConfigError with every problem.
    """
    path = path or found()
    return loads("" if path is None else _read(path), path, overrides)


def loads(
    text: str, path: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """As `load`, of the text that is or may become the file `path`."""
    locate: Locate = str
    if path is not None:
        lines = dict(_lines(text))
        locate = lambda key: f"{path}:{_line(lines, key)}: {key}"  # noqa: E731
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path or 'configuration'}: not valid TOML: {error}") from error
    overridden = overrides or {}
    for key, value in overridden.items():
        _put(document, key, _parsed(value) if isinstance(value, str) else value)

    def told(key: str) -> str:
        return f"command line: {key}" if key in overridden else locate(key)

    problems: list[str] = []
    settings: Settings | None = _section(Settings, document, "", told, problems)
    if settings is not None:
        problems += _contradictions(settings, told)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


def found() -> Path | None:
    """The file that is read where none is named; None where there is none."""
    if named := os.environ.get("EDGE_CONFIG"):
        return Path(named)
    return next((path for path in SEARCHED if path.is_file()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path}: not UTF-8 text") from error


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(document: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = document.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"command line: {key}: {parent} is no section; use a file for it")
        document = inner
    document[last] = value


def _section(
    kind: type[Section], found: object, key: str, told: Locate, problems: list[str]
) -> Any:
    """One struct, field by field, so that every problem in it is found; None if there is any."""
    if not isinstance(found, dict):
        problems.append(f"{told(key)}: a section is expected, not {_shown(found)}")
        return None
    before = len(problems)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values = {}
    for name, value in found.items():
        own = f"{key}.{name}" if key else name
        if name not in fields:
            problems.append(f"{told(own)}: unknown key{_meant(name, fields)}")
        else:
            values[name] = _value(fields[name].type, value, own, told, problems)
    for name, field in fields.items():
        if field.required and name not in found:
            problems.append(f"{told(key)}: the key {name} is missing")
    return kind(**values) if len(problems) == before else None


def _value(kind: Any, found: object, key: str, told: Locate, problems: list[str]) -> Any:
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind, found, key, told, problems)
    if element := _section_of_list(kind):
        if not isinstance(found, list):
            problems.append(f"{told(key)}: [[{key}]] sections are expected, not {_shown(found)}")
            return None
        rows = enumerate(found)
        return tuple(_section(element, row, f"{key}[{i}]", told, problems) for i, row in rows)
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        where = re.search(r" - at `\$([^`]*)`", str(error))
        within = where.group(1) if where else ""
        expected = f"{_type_words(kind)}{_range_words(kind)}"
        problems.append(f"{told(key)}{within}: {_shown(found)} found, {expected} expected")
        return None


def _section_of_list(kind: Any) -> type[Section] | None:
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(arguments[0], type):
        return arguments[0] if issubclass(arguments[0], Section) else None
    return None


def _contradictions(settings: Settings, told: Locate) -> Iterator[str]:
    """What is right by itself and wrong together."""
    zones = [zone.name for zone in settings.zones]
    for index, rule in enumerate(settings.triggers):
        at = f"triggers[{index}]"
        for name in rule.zones:
            if name not in zones:
                yield f"{told(f'{at}.zones')}: there is no zone {name!r}{_meant(name, zones)}"
        if rule.confirm > rule.of_last:
            yield f"{told(f'{at}.confirm')}: {rule.confirm} of the last {rule.of_last} can't be"
        if rule.of_last > LONGEST_WINDOW:
            yield f"{told(f'{at}.of_last')}: {LONGEST_WINDOW} looks at most are remembered"
        if rule.min_height > rule.max_height:
            yield f"{told(f'{at}.min_height')}: it exceeds max_height, so that nothing fits"
    if settings.source.upside_down and settings.source.uri.startswith(UNTURNED):
        yield f"{told('source.upside_down')}: only a picamera2 camera turns its picture"
    yield from _repeated(zones, "zones", told)
    yield from _repeated([rule.name for rule in settings.triggers], "triggers", told)
    for name in ("endpoint", "control"):
        open_tcp = getattr(settings.bus, name).startswith("tcp://") and not settings.bus.keys
        if open_tcp and not settings.bus.insecure:
            yield (
                f"{told(f'bus.{name}')}: TCP is open to everybody who can reach it; set bus.keys "
                "(see `edge keys`), or say bus.insecure = true to allow that"
            )
    if settings.bus.keys and settings.bus.insecure:
        yield f"{told('bus.insecure')}: it contradicts bus.keys; leave one of them out"
    if settings.bus.control == settings.bus.endpoint:
        yield f"{told('bus.control')}: events go out there; commands need an endpoint of their own"
    outputs = [rule.gpio for rule in settings.triggers if rule.gpio != NO_LINE]
    if settings.hooks.input_gpio in outputs:
        yield f"{told('hooks.input_gpio')}: a trigger pulses that line; take another one"
    mqtt = settings.mqtt
    for name, needs in (("password_file", mqtt.username), ("ca_file", mqtt.tls),
                        ("cert_file", mqtt.tls), ("key_file", mqtt.cert_file)):  # fmt: skip
        if getattr(mqtt, name) and not needs:
            what = {"password_file": "username", "key_file": "cert_file"}.get(name, "tls = true")
            yield f"{told(f'mqtt.{name}')}: it is of no use without {what}"
    capture = settings.capture
    if capture.pre_roll_s + capture.post_roll_s > capture.max_clip_s:
        yield f"{told('capture.max_clip_s')}: shorter than pre_roll_s and post_roll_s together"


def _repeated(names: list[str], section: str, told: Locate) -> Iterator[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"{told(f'{section}[{index}].name')}: {name!r} is there already"


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    text = _toml(value) if not isinstance(value, dict) else "a section"
    return text if len(text) <= 60 else text[:57] + "…"


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Keys of a valid file with the line each is on; values over several lines are passed over."""
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


def _line(lines: Mapping[str, int], key: str) -> int:
    """Of the key, or of the nearest that holds it; 1 where it is in none."""
    while key not in lines:
        shorter = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", key)
        if shorter == key:
            return 1
        key = shorter
    return lines[key]


@dataclass(frozen=True, slots=True)
class KeyDoc:
    """One key as `edge config explain` tells it."""

    key: str
    type: str
    range: str
    default: str
    description: str


def explain() -> list[KeyDoc]:
    """Every key in the order of the file; those of lists of sections as `zones[].name`."""
    return [row for _, rows in _documented() for row in rows]


def to_toml(settings: Settings) -> str:
    """A file that loads to the same settings."""
    top = [f"camera = {_toml(settings.camera)}"]
    for name, value in msgspec.structs.asdict(settings).items():
        if isinstance(value, Section):
            top.append(f"\n[{name}]\n{_assignments(value)}")
        elif isinstance(value, tuple):
            top += [f"\n[[{name}]]\n{_assignments(row)}" for row in value] or [f"{name} = []"]
    head = [part for part in top if not part.startswith("\n")]
    return "\n".join(head + [part for part in top if part.startswith("\n")]) + "\n"


def commented() -> str:
    """The defaults as a file to start from: every key is there, commented out."""
    parts = [
        "# Configuration of edge. Every key is shown with its default; remove the # to change it.\n"
        "# `edge check-config FILE` checks it, `edge config explain KEY` explains it.\n"
    ]
    for header, rows in _documented():
        if header:
            parts.append(f"\n{header if not header.startswith('[[') else f'#{header}'}\n")
        for row in rows:
            name = row.key.rpartition(".")[2]
            limits = f" ({row.range})" if row.range else ""
            parts.append(
                f"# {row.description}{limits}\n#{name} = {row.default or _example(row.key)}\n"
            )
    return "".join(parts)


def markdown() -> str:
    """The keys as Markdown tables, one a section."""
    parts = []
    for header, rows in _documented():
        parts.append(f"\n### `{header or 'top level'}`\n\n| key | type | default | meaning |\n|")
        parts.append(" --- | --- | --- | --- |\n")
        for row in rows:
            limits = f", {row.range}" if row.range else ""
            name, default = row.key.rpartition(".")[2], f"`{row.default}`"
            cells = (f"`{name}`", row.type + limits, default if row.default else "required")
            parts.append(f"| {' | '.join((*cells, row.description))} |\n")
    return "".join(parts).lstrip("\n")


def _documented() -> Iterator[tuple[str, list[KeyDoc]]]:
    """Header of each section with its keys."""
    default = Settings()
    top, sections = [], []
    for name, kind in _kinds(Settings).items():
        if element := _section_of_list(kind):
            sections.append((f"[[{name}]]", list(_keys(element, f"{name}[]", None))))
        elif isinstance(value := getattr(default, name), Section):
            sections.append((f"[{name}]", list(_keys(type(value), name, value))))
        else:
            top.append(_key_doc(name, kind, value))
    yield "", top
    yield from sections


def _keys(kind: type[Section], prefix: str, values: Section | None) -> Iterator[KeyDoc]:
    for field in msgspec.structs.fields(kind):
        default = (
            msgspec.NODEFAULT if field.required else getattr(values, field.name, field.default)
        )
        yield _key_doc(f"{prefix}.{field.name}", _kinds(kind)[field.name], default)


def _kinds(kind: type[Section]) -> dict[str, Any]:
    return {field.name: get_type_hints(kind, include_extras=True)[field.name]
            for field in msgspec.structs.fields(kind)}  # fmt: skip


def _key_doc(key: str, kind: Any, default: object) -> KeyDoc:
    meta = _metas(kind)
    description = next((m.description for m in reversed(meta) if m.description), "")
    shown = "" if default is msgspec.NODEFAULT else _toml(default)
    return KeyDoc(key, _type_words(kind), _range_words(kind).strip(), shown, description)


def _metas(kind: Any) -> list[msgspec.Meta]:
    return [m for m in getattr(kind, "__metadata__", ()) if isinstance(m, msgspec.Meta)]


def _bare(kind: Any) -> inspect.Type:
    """What msgspec knows of a type, without its description."""
    info = inspect.type_info(kind)
    return info.type if isinstance(info, inspect.Metadata) else info


def _type_words(kind: Any) -> str:
    """A type as a person would say it."""
    match _bare(kind):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "whole number"
        case inspect.FloatType():
            return "number"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.VarTupleType(item_type=inspect.LiteralType(values=values)):
            return "list of " + ", ".join(map(str, values))
        case inspect.VarTupleType(item_type=inspect.VarTupleType()):
            return "list of polygons [[x, y], …]"
        case inspect.VarTupleType(item_type=inspect.TupleType()):
            return "polygon [[x, y], …] of 3 corners or more"
        case inspect.VarTupleType(item_type=inspect.StrType(pattern=pattern)) if pattern:
            return "list of HH:MM-HH:MM"
        case inspect.VarTupleType():
            return "list of texts"
        case inspect.StrType(pattern=pattern) if pattern and "A-Z" in pattern:
            return "name of letters, digits, _ and -"
        case inspect.StrType(pattern=pattern) if pattern and "none" in pattern:
            return "auto, none, ipc://… or tcp://…"
        case inspect.StrType(pattern=pattern) if pattern and "ipc" in pattern:
            return "ipc://… or tcp://…"
        case _:
            return "text"


def _range_words(kind: Any) -> str:
    info = _bare(kind)
    limits = [(words, getattr(info, name, None)) for name, words in LIMITS]
    said = " and ".join(f"{words} {limit:g}" for words, limit in limits if limit is not None)
    return f" {said}" if said else ""


def _assignments(section: Section) -> str:
    values = ((f.name, getattr(section, f.name)) for f in msgspec.structs.fields(section))
    return "\n".join(f"{name} = {_toml(value)}" for name, value in values)


def _toml(value: object) -> str:
    """A TOML value; JSON's strings are TOML's too."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case _:
            return str(value)


def _example(key: str) -> str:
    """For keys that have no default."""
    examples = {"zones[].name": '"path"', "triggers[].name": '"person"'}
    return examples.get(key, "[[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]")


def main() -> None:
    """`python -m edge.config.load toml|markdown` prints the generated texts."""
    sys.stdout.write({"toml": commented, "markdown": markdown}[sys.argv[1]]())


if __name__ == "__main__":
    main()
