"""The configuration file as the page edits it: comments, order and whatever else is in it stay.

A change is made to the text, the result is checked as a whole, and only then it replaces the file,
at once. A file that somebody else has changed since it was read is left as it is.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from edge.config.load import loads
from edge.config.schema import Settings
from edge.errors import ConfigError, MissingExtraError, PermanentError, TemporaryError
from edge.runtime.files import PartFile, explain

try:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AoT
except ImportError as missing:
    raise MissingExtraError("the live view", "web") from missing

Points = list[tuple[float, float]]


class ConflictError(TemporaryError):
    """Somebody else has changed the file since it was read."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the page sends."""


class ZoneEdit(Edit, frozen=True):
    """was: the zone's name in the file, None for a new one."""

    name: str
    polygon: Points
    was: str | None = None


class MaskEdit(Edit, frozen=True):
    """was: the mask's place among those in the file, None for a new one."""

    polygon: Points
    was: int | None = None


class RuleEdit(Edit, frozen=True):
    """The zones that a rule of this name asks for."""

    name: str
    zones: tuple[str, ...]


class Change(Edit, frozen=True):
    """What the page may change. Zones and masks of the file that aren't here are removed.

    version: of the text that it was made from. motion: numbers of `[motion]` by key.
    """

    version: str
    zones: tuple[ZoneEdit, ...]
    masks: tuple[MaskEdit, ...]
    rules: tuple[RuleEdit, ...] = ()
    motion: dict[str, float] = {}


class SettingsFile:
    """One file, read anew each time. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Settings, str]:
        """What it says, and the version of its text. Raises ConfigError."""
        text = self._text()
        return loads(text, self.path), _version(text)

    def save(self, change: Change) -> str:
        """Returns the new version.

        Raises ConfigError with every problem, ConflictError or PermanentError (the file can't be
        written), and has changed nothing then.
        """
        text = self._text()
        if _version(text) != change.version:
            raise ConflictError(
                f"{self.path} was changed by somebody else since it was read: load it again"
            )
        new = edited(text, change, self.path)
        if new != text:
            self._replace(new)
        return _version(new)

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode()
        except OSError as error:
            raise ConfigError(f"configuration {self.path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"configuration {self.path}: not UTF-8 text") from error

    def _replace(self, text: str) -> None:
        """Under a temporary name first; owner and mode stay. A link stays one."""
        final = self.path.resolve()
        try:
            part = PartFile(final)
            try:
                _keep_owner(part.path, final.stat())
                shutil.copymode(final, part.path)
                part.write(text.encode())
                part.publish(replace=True)
            except OSError:
                part.discard()
                raise
        except OSError as error:
            raise PermanentError(f"{final} can't be written: {explain(error)}") from error


def edited(text: str, change: Change, path: Path) -> str:
    """The file's text with the change made in it. Raises ConfigError with every problem."""
    before = loads(text, path)
    motion = {k: v for k, v in change.motion.items() if v != getattr(before.motion, k, None)}
    for key in motion:
        text = _uncommented(text, "motion", key)
    try:
        document: Any = tomlkit.parse(text)
        _set_zones(document, change.zones)
        _set_masks(document, change.masks)
        _set_rules(document, change.rules, before)
        for key, value in motion.items():
            _table(document, "motion")[key] = value
        new = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"{path} can't be edited here, only by hand: {error}") from error
    after = loads(new, path)
    if after != _expected(before, change):
        raise ConfigError(f"{path} is written in a way that can be edited only by hand")
    return new


def _expected(before: Settings, change: Change) -> Settings:
    """What must come of it, so that an odd file is refused rather than damaged."""
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
    """Those that stay keep their place and their comments; new ones follow."""
    rows = document.get("zones", [])
    if zones and not len(rows):  # none yet, or `zones = []`
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
    """Where the file has no rules, the default ones hold, and are written once they change."""
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
    """As the rows before: a section of its own, or a table within the line."""
    row: Any = tomlkit.table() if isinstance(rows, AoT) else tomlkit.inline_table()
    row.update(values)
    if isinstance(rows, AoT):
        row.add(tomlkit.nl())
    rows.append(row)


def _update(row: Any, values: dict[str, object]) -> None:
    """Only what differs, so that the rest stays as it was written."""
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
    """With a line like `#floor = 14.0`, as `edge init` writes for each default, as a setting.

    So the new value stands where its explanation is. Where there is no such line nothing changes.
    """
    lines = text.splitlines(keepends=True)
    within = False
    for index, line in enumerate(lines):
        if header := re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]", line):
            within = header.group(1) == section
        elif within and re.match(rf"{re.escape(key)}\s*=", line):
            return text
        elif within and re.match(rf"#{re.escape(key)} = [\d.]+\s*$", line):
            return "".join([*lines[:index], line[1:], *lines[index + 1 :]])
    return text


def _keep_owner(path: Path, before: os.stat_result) -> None:
    """As far as this user may: the group, where it is one of theirs."""
    for uid in (before.st_uid, -1):
        with suppress(PermissionError):
            os.chown(path, uid, before.st_gid)
            return


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
