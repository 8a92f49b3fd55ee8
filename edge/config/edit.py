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
from edge.config.schema import MAX_CORNERS, Mute, Settings
from edge.errors import ConfigError, MissingExtraError

try:
    import tomlkit
    from tomlkit.items import AoT
except ImportError as missing:
    raise MissingExtraError("editing a configuration file", "web") from missing

MAX_CORNERS_TOGETHER = 2048  # of a change: editing the text of so many takes about 2 s

Points: TypeAlias = list[tuple[float, float]]


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a change."""


class ZoneEdit(Edit, frozen=True):
    """The new state of a zone. was: its name in the file; None for a new zone."""

    name: str
    polygon: Points
    was: str | None = None


class MaskEdit(Edit, frozen=True):
    """The new state of a mask. was: its index in the file; None for a new mask."""

    polygon: Points
    was: int | None = None


class RuleEdit(Edit, frozen=True):
    """The new zones of the rule with this name."""

    name: str
    zones: tuple[str, ...]


class Change(Edit, frozen=True):
    """New zones, masks, rules and motion settings. Zones and masks that it omits are removed.

    version: of the file that the change is based on. motion: new values of `[motion]`, by key.
    """

    version: str
    zones: tuple[ZoneEdit, ...]
    masks: tuple[MaskEdit, ...]
    rules: tuple[RuleEdit, ...] = ()
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
        _set_zones(document, change.zones)
        _set_masks(document, change.masks)
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
    places = {zone.name: index for index, zone in enumerate(before.zones)}
    kept = sorted(change.zones, key=lambda zone: places.get(zone.was or "", len(places)))
    masks = sorted(change.masks, key=lambda mask: math.inf if mask.was is None else mask.was)
    zones = {rule.name: rule.zones for rule in change.rules}
    rows = [msgspec.to_builtins(rule) for rule in before.triggers]
    document = msgspec.to_builtins(before) | {
        "motion": motion | {"masks": [mask.polygon for mask in masks]},
        "zones": [{"name": zone.name, "polygon": zone.polygon} for zone in kept],
        "triggers": [row | {"zones": zones.get(row["name"], row["zones"])} for row in rows],
    }
    return msgspec.convert(document, Settings)


def _set_zones(document: Any, zones: Sequence[ZoneEdit]) -> None:
    """Zones that stay keep their place and their comments; new ones follow."""
    rows = document.get("zones", [])
    if zones and not len(rows):  # no zones yet, or `zones = []`
        document.pop("zones", None)
        rows = document["zones"] = tomlkit.aot()
    edits = {zone.was: zone for zone in zones if zone.was is not None}
    for index in reversed(range(len(rows))):
        if (edit := edits.get(str(rows[index]["name"]))) is None:
            del rows[index]
        else:
            _update(rows[index], {"name": edit.name, "polygon": _lists(edit.polygon)})
    for zone in zones:
        if zone.was is None:
            _append(rows, {"name": zone.name, "polygon": _lists(zone.polygon)})
    if "zones" in document and not len(rows):
        del document["zones"]


def _set_masks(document: Any, masks: Sequence[MaskEdit]) -> None:
    before = document.get("motion", {}).get("masks", [])
    if not masks and not len(before):
        return
    if not len(before):
        _table(document, "motion")["masks"] = tomlkit.array().multiline(True)
    rows = _table(document, "motion")["masks"]
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
    known = {rule.name: rule for rule in before.triggers}
    changed = {r.name: r for r in rules if r.name in known and r.zones != known[r.name].zones}
    if not changed:
        return
    if not len(document.get("triggers", [])):
        document.pop("triggers", None)
        rows = document["triggers"] = tomlkit.aot()
        for rule in before.triggers:
            _append(rows, {"name": rule.name, "labels": list(rule.labels)})
    for row in document["triggers"]:
        if edit := changed.get(str(row["name"])):
            row["zones"] = list(edit.zones)


def _append(rows: Any, values: dict[str, object]) -> None:
    """Adds a row in the style of the others: a section, or an inline table."""
    row: Any = tomlkit.table() if isinstance(rows, AoT) else tomlkit.inline_table()
    row.update(values)
    if isinstance(rows, AoT):
        row.add(tomlkit.nl())
    rows.append(row)


def _update(row: Any, values: dict[str, object]) -> None:
    """Sets only values that differ, so that the others stay as they were written."""
    for key, value in values.items():
        if row[key].unwrap() != value:
            row[key] = value


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
