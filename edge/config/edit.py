"""Changes settings in the text of a configuration file and keeps its comments and their order.

The live view and `edge ctl mute` edit files that a person also edits by hand. This module takes
and returns text; `edge.web.settings_file` reads and writes the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from edge.config.load import loads
from edge.config.schema import MAX_CORNERS, Line, Mute, Settings, TriggerRule, Zone
from edge.errors import ConfigError, MissingExtraError

try:
    import tomlkit
    from tomlkit.items import AoT
except ImportError as missing:
    raise MissingExtraError("editing a configuration file", "web") from missing

MAX_CORNERS_TOGETHER = 2048  # of a change: editing the text of so many takes about 2 s

Points: TypeAlias = list[tuple[float, float]]
Named: TypeAlias = Zone | Line | TriggerRule
RowEdit: TypeAlias = "ZoneEdit | LineEdit | RuleEdit"


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a change."""


class ZoneEdit(Edit, frozen=True):
    """The new state of a zone. was: its name in the file; None for a new zone."""

    name: str
    polygon: Points
    was: str | None = None


class MaskEdit(Edit, frozen=True):
    """The new state of a mask of motion or privacy. was: its index in the file; None if new."""

    polygon: Points
    was: int | None = None


class LineEdit(Edit, frozen=True):
    """The new state of a line. was: its name in the file; None for a new line."""

    name: str
    points: Points
    labels: tuple[str, ...] | None = None
    was: str | None = None


class RuleEdit(Edit, frozen=True):
    """The new state of a rule; None leaves a value as it is, or as its default in a new rule.

    was: its name in the file; None for a new rule.
    """

    name: str
    labels: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None
    schedule: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    min_score: float | None = None
    cooldown_s: float | None = None
    was: str | None = None


class Change(Edit, frozen=True):
    """New zones, masks of motion and of privacy, lines, rules and motion settings.

    What a list omits is removed; the last three lists may be absent, and then stay. version: of the
    file that the change is based on. motion: new values of `[motion]`, by key.
    """

    version: str
    zones: tuple[ZoneEdit, ...]
    masks: tuple[MaskEdit, ...]
    privacy: tuple[MaskEdit, ...] | None = None
    lines: tuple[LineEdit, ...] | None = None
    rules: tuple[RuleEdit, ...] | None = None
    motion: dict[str, float] = {}


def edited(text: str, change: Change, path: Path) -> str:
    """The text with the change applied. path: the file that errors name.

    Raises ConfigError with every problem of the result.
    """
    _check_corners(change, path)
    before = loads(text, path)
    motion = {k: v for k, v in change.motion.items() if v != getattr(before.motion, k, None)}
    for key in motion:
        text = _uncommented(text, "motion", key)

    def apply(document: Any) -> None:
        _set_rows(document, "zones", change.zones, before.zones)
        _set_masks(document, "motion", change.masks)
        if change.privacy is not None:
            _set_masks(document, "privacy", change.privacy)
        if change.lines is not None:
            _set_rows(document, "lines", change.lines, before.lines)
        if change.rules is not None:
            _set_rules(document, change.rules, before)
        for key, value in motion.items():
            _table(document, "motion")[key] = value

    return _rewritten(text, path, apply, lambda: _expected(before, change))


def with_mute(text: str, mute: Mute, path: Path) -> str:
    """The text with a further muted place. Raises ConfigError as `edited`."""
    before = loads(text, path)

    def append(document: Any) -> None:
        if not len(document.get("mutes", [])):  # none yet, or `mutes = []`
            document.pop("mutes", None)
            document["mutes"] = tomlkit.aot()
        row: dict[str, object] = {"box": list(mute.box)}
        _append(document["mutes"], row | ({"labels": list(mute.labels)} if mute.labels else {}))

    mutes = (*before.mutes, mute)
    return _rewritten(text, path, append, lambda: msgspec.structs.replace(before, mutes=mutes))


def without_mutes(text: str, gone: Sequence[Mute], path: Path) -> str:
    """The text without these muted places. Raises ConfigError as `edited`."""
    before = loads(text, path)

    def delete(document: Any) -> None:
        for index, mute in reversed(list(enumerate(before.mutes))):
            if mute in gone:
                del document["mutes"][index]
        if not len(document["mutes"]):
            del document["mutes"]

    kept = tuple(mute for mute in before.mutes if mute not in gone)
    if kept == before.mutes:
        return text
    return _rewritten(text, path, delete, lambda: msgspec.structs.replace(before, mutes=kept))


def _rewritten(
    text: str, path: Path, change: Callable[[Any], None], expected: Callable[[], Settings]
) -> str:
    """The text after a change of its document, which must result in the expected settings."""
    try:
        document: Any = tomlkit.parse(text)
        change(document)
        new = tomlkit.dumps(document)
    except Exception as error:  # TOMLKitError, or any other for TOML that tomlkit can't handle
        raise ConfigError(f"{path} can be edited only by hand: {error}") from error
    if loads(new, path) != expected():
        raise ConfigError(f"{path} is written in a way that can be edited only by hand")
    return new


def _check_corners(change: Change, path: Path) -> None:
    """Refuses polygons of too many corners before they cost time."""
    polygons = [(f"zone {zone.name}", zone.polygon) for zone in change.zones]
    polygons += [(f"mask {n}", mask.polygon) for n, mask in enumerate(change.masks, 1)]
    privacy = enumerate(change.privacy or (), 1)
    polygons += [(f"privacy mask {n}", mask.polygon) for n, mask in privacy]
    for name, polygon in polygons:
        if len(polygon) > MAX_CORNERS:
            raise ConfigError(
                f"{name} has {len(polygon)} corners, and a polygon can have at most {MAX_CORNERS}; "
                "delete some of them"
            )
    corners = sum(len(polygon) for _, polygon in polygons)
    if corners > MAX_CORNERS_TOGETHER:
        raise ConfigError(
            f"the zones and masks have {corners} corners together; draw them with at most "
            f"{MAX_CORNERS_TOGETHER}, or edit {path} by hand"
        )


def _expected(before: Settings, change: Change) -> Settings:
    """The settings that must result, so that an unusual file is refused rather than damaged."""
    motion = msgspec.to_builtins(before.motion) | change.motion
    document = msgspec.to_builtins(before) | {
        "motion": motion | {"masks": _in_order(change.masks)},
        "zones": _expected_rows(before.zones, change.zones),
    }
    if change.privacy is not None:
        document["privacy"] |= {"masks": _in_order(change.privacy)}
    if change.lines is not None:
        document["lines"] = _expected_rows(before.lines, change.lines)
    if change.rules is not None:
        document["triggers"] = _expected_rows(before.triggers, change.rules)
    return msgspec.convert(document, Settings)


def _in_order(masks: Sequence[MaskEdit]) -> list[Points]:
    """Their polygons; those in the file come first, in its order."""
    ordered = sorted(masks, key=lambda mask: math.inf if mask.was is None else mask.was)
    return [mask.polygon for mask in ordered]


def _expected_rows(before: Sequence[Named], edits: Sequence[RowEdit]) -> list[dict[str, Any]]:
    """The rows that stay in the order of the file, and the new ones."""
    known = {row.name: msgspec.to_builtins(row) for row in before}
    places = {name: index for index, name in enumerate(known)}
    ordered = sorted(edits, key=lambda edit: places.get(edit.was or "", len(places)))
    return [known.get(edit.was or "", {}) | _values(edit) for edit in ordered]


def _set_rows(document: Any, key: str, edits: Sequence[RowEdit], before: Sequence[Named]) -> None:
    """Rows that stay keep their place and their comments; new ones follow."""
    rows = document.get(key, [])
    if edits and not len(rows):  # none yet, or an empty list
        document.pop(key, None)
        rows = document[key] = tomlkit.aot()
    known = {row.name: msgspec.to_builtins(row) for row in before}
    kept = {edit.was: edit for edit in edits if edit.was is not None}
    for index in reversed(range(len(rows))):
        if (edit := kept.get(name := str(rows[index]["name"]))) is None:
            del rows[index]
        else:
            _update(rows[index], _values(edit), known[name])
    for edit in edits:
        if edit.was is None:
            _append(rows, _values(edit))
    if key in document and not len(rows):
        del document[key]


def _values(edit: RowEdit) -> dict[str, Any]:
    """The given values of a row, by key, as TOML has them."""
    values = msgspec.to_builtins(edit)
    del values["was"]
    for key in ("polygon", "points"):
        if key in values:
            values[key] = _lists(values[key])
    return {key: value for key, value in values.items() if value is not None}


def _set_masks(document: Any, section: str, masks: Sequence[MaskEdit]) -> None:
    before = document.get(section, {}).get("masks", [])
    if not masks and not len(before):
        return
    if not len(before):
        _table(document, section)["masks"] = tomlkit.array().multiline(True)
    rows = _table(document, section)["masks"]
    edits = {mask.was: mask for mask in masks if mask.was is not None}
    for index in reversed(range(len(rows))):
        if (edit := edits.get(index)) is None:
            del rows[index]
        elif (polygon := _lists(edit.polygon)) != rows[index].unwrap():
            rows[index] = polygon
    for mask in masks:
        if mask.was is None:
            rows.append(_lists(mask.polygon))


def _set_rules(document: Any, rules: Sequence[RuleEdit], before: Settings) -> None:
    """Writes the default rules into a file without rules when one of them changes."""
    if _expected_rows(before.triggers, rules) == [*map(msgspec.to_builtins, before.triggers)]:
        return
    if "triggers" not in document:
        rows = document["triggers"] = tomlkit.aot()
        for rule in before.triggers:
            _append(rows, {"name": rule.name, "labels": list(rule.labels)})
    _set_rows(document, "triggers", rules, before.triggers)
    if not rules:  # without the key, the default rule would apply
        document["triggers"] = tomlkit.array()


def _append(rows: Any, values: dict[str, object]) -> None:
    """Adds a row in the style of the others: a section, or an inline table."""
    row: Any = tomlkit.table() if isinstance(rows, AoT) else tomlkit.inline_table()
    row.update(values)
    if isinstance(rows, AoT):
        row.add(tomlkit.nl())
    rows.append(row)


def _update(row: Any, values: dict[str, Any], before: dict[str, Any]) -> None:
    """Sets only values that differ from before, so that the others stay as they were written."""
    for key, value in values.items():
        if value != _plain(before[key]):
            row[key] = value


def _plain(value: Any) -> Any:
    """Lists for tuples, as TOML has them."""
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _table(document: Any, name: str) -> Any:
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _lists(polygon: Points) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in polygon]


def _uncommented(text: str, section: str, key: str) -> str:
    """Turns a line such as `#floor = 14.0`, which `edge init` writes, into a setting.

    The new value is then below its explanation. Text without such a line is returned unchanged.
    """
    lines = text.splitlines(keepends=True)
    within = False
    for index, line in enumerate(lines):
        if header := re.match(r"\[+([^\[\]]+)\]", line.strip()):
            within = header.group(1).strip() == section
        elif within and re.match(rf"{re.escape(key)}\s*=", line):
            return text
        elif within and re.match(rf"#{re.escape(key)} = [0-9.]+\s*\Z", line):
            return "".join([*lines[:index], line[1:], *lines[index + 1 :]])
    return text
