"""Puts the captures of a camera in the order of their UTC times, which are in their sidecars.

Their names are local times, which go back in autumn, and whenever a clock is corrected. But a name
and a UTC time are never further apart than the offsets of time zones, so that the newest captures
are found without reading the older days.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from sys import intern
from typing import Final, TypeAlias

from edge.capture.naming import SIDECAR_SUFFIX, is_date, time_in
from edge.capture.sidecar import EventEntry, Sidecar, read_sidecar
from edge.capture.stored.tree import folders, names_in
from edge.errors import CaptureError

EAST: Final = timedelta(hours=14)  # of UTC: Kiribati; the day begins this much earlier there
WEST: Final = timedelta(hours=12)
DAY: Final = timedelta(days=1)
MAX_DAYS: Final = 32  # kept in memory; an hour of captures each minute takes 15 KB

Key: TypeAlias = tuple[datetime, str]  # UTC time, and id as `<date>/<stem>`

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a capture is found by, from its first event. hour: of the camera's local time."""

    time: datetime
    hour: int
    rule: str
    labels: tuple[str, ...]
    zones: tuple[str, ...]


class Timeline:
    """Belongs to one thread at a time.

    A day's facts are kept, so that only new sidecars are read. unreadable: number of files in the
    days read last that have a sidecar's name and can't be read as one.
    """

    def __init__(self, root: Path) -> None:
        """root: the folder of the camera, with a folder for each day."""
        self._root = root
        self._days: OrderedDict[str, dict[str, Facts]] = OrderedDict()
        self._unreadable: dict[str, int] = {}
        self._reported = 0

    @property
    def unreadable(self) -> int:
        return sum(self._unreadable.values())

    def newest_first(self, before: str = "", day: str = "") -> Iterator[str]:
        """Ids, the newest first; with `before`, an id, only those of captures older than it.

        day: the date of a folder, whose captures alone are listed; empty for all.
        """
        last = self._key(before) if before else None
        if before and last is None:
            return
        days = [date for date in self.dates() if day in ("", date)]
        dates = [date for date in days if last is None or _earliest(date) <= last[0]]
        waiting: list[Key] = []
        for date, older in zip_longest(dates, dates[1:]):
            captures = self.day(date)
            self._report()
            keys = ((facts.time, f"{date}/{stem}") for stem, facts in captures.items())
            waiting = sorted([*waiting, *(key for key in keys if last is None or key < last)])
            while waiting and (older is None or waiting[-1][0] > _latest(older)):
                yield waiting.pop()[1]

    def dates(self) -> list[str]:
        """The days in local time that have a folder, newest first."""
        try:
            names = [] if self._root.is_symlink() else [path.name for path in folders(self._root)]
        except OSError:  # no capture yet
            return []
        return sorted(filter(is_date, names), reverse=True)

    def facts(self, id_: str) -> Facts | None:
        """Of a capture whose day was read last; None if it has gone from memory."""
        date, _, stem = id_.partition("/")
        return self._days.get(date, {}).get(stem)

    def day(self, date: str) -> dict[str, Facts]:
        """The captures of a day by their stems. Reads the sidecars that are new."""
        known = self._days.pop(date, {})
        try:
            names = names_in(self._root / date)
        except OSError:  # it was deleted
            return {}
        stems = [name.removesuffix(SIDECAR_SUFFIX) for name in names
                 if name.endswith(SIDECAR_SUFFIX) and not name.startswith(".")]  # fmt: skip
        found = {stem: known.get(stem) or self._facts(date, stem) for stem in stems}
        day = {stem: facts for stem, facts in found.items() if facts is not None}
        self._unreadable[date] = len(found) - len(day)
        self._days[date] = day
        while len(self._days) > MAX_DAYS:
            gone, _ = self._days.popitem(last=False)
            self._unreadable.pop(gone, None)
        return day

    def _facts(self, date: str, stem: str) -> Facts | None:
        """The facts in a sidecar; its time is held within the span that its folder allows."""
        sidecar = read(self._root / date / f"{stem}{SIDECAR_SUFFIX}")
        if sidecar is None:
            return None
        try:
            return _facts_of(sidecar.events[0], date)
        except ValueError:
            return None

    def _key(self, before: str) -> Key | None:
        """The place of an id; None if it is none. A deleted capture's place is that of its name."""
        date, _, stem = before.partition("/")
        if not is_date(date):
            return None
        facts = self.day(date).get(stem)
        time = facts.time if facts else time_in(date, stem)
        return None if time is None else (_held(time, date), before)

    def _report(self) -> None:
        if self.unreadable > self._reported:
            log.warning(
                "%s: %d files have a sidecar's name but can't be read as one; they are not listed",
                self._root, self.unreadable,
            )  # fmt: skip
        self._reported = self.unreadable


def _facts_of(event: EventEntry, date: str) -> Facts:
    """Raises ValueError for a time that is none."""
    time = datetime.fromisoformat(event.time)
    names = (event.track.label, event.track.group) if event.track else ()
    return Facts(
        time=_held(time, date),
        hour=time.hour,
        rule=intern(event.rule),
        labels=tuple(intern(name) for name in names if name),
        zones=tuple(intern(zone) for zone in event.zones),
    )


def read(path: Path) -> Sidecar | None:
    """A sidecar with an event; None for any other file, and for one that is being deleted."""
    try:
        sidecar = read_sidecar(path)
    except CaptureError:
        return None
    return sidecar if sidecar is not None and sidecar.events else None


def _midnight(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=UTC)


def _held(time: datetime, date: str) -> datetime:
    """A time in UTC, within the span of its folder's day. It has a zone."""
    return min(max(time, _earliest(date)), _latest(date)).astimezone(UTC)


def _earliest(date: str) -> datetime:
    """UTC of the first moment of a day, anywhere."""
    return max(_midnight(date), datetime.min.replace(tzinfo=UTC) + EAST) - EAST


def _latest(date: str) -> datetime:
    """UTC of the last moment of a day, anywhere."""
    return min(_midnight(date), datetime.max.replace(tzinfo=UTC) - DAY - WEST) + DAY + WEST
