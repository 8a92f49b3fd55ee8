"""Tables of triggers, crossings and stays by hour or day, from the tables of each day."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple

from edge.capture.tally import TallyRow, read_tally, tally_files
from edge.errors import PermanentError
from edge.export.groups import Choice

COLUMNS: Final = ("period", "camera", "kind", "name", "direction", "count", "mean_stay_s")
DAY: Final = timedelta(days=1)

Period = Literal["hour", "day"]


class Key(NamedTuple):
    """A row of the table: an hour or a day, and what was counted in it.

    period: ISO 8601. An hour has its zone, so that an hour that occurs twice is two periods.
    """

    period: str
    camera: str
    kind: str
    name: str
    direction: str


@dataclass(slots=True)
class Count:
    """first: the earliest time in the period, for the order. stay_s: total time of stays."""

    first: datetime
    number: int = 0
    stay_s: float = 0.0


@dataclass(slots=True)
class Counts:
    """The counts of all periods. unreadable: tables that were left out."""

    by_key: dict[Key, Count] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)


def read_counts(root: Path, choice: Choice, by: Period) -> Counts:
    """Counts the rows of all tables. Raises PermanentError if the folder has none."""
    counts = Counts()
    tables = list(tally_files(root))
    if not tables:
        raise PermanentError(
            f"{root} contains no tables of counts: give the folder of captures with --captures DIR"
        )
    for path in tables:
        camera = path.parent.parent.name
        if not _may_include(choice, camera, date.fromisoformat(path.stem)):
            continue
        try:
            for row in read_tally(path):
                _add(counts, camera, row, choice, by)
        except OSError:
            counts.unreadable.append(path)
    return counts


def write_counts(out: IO[str], counts: Counts) -> int:
    """Writes a row for each period and thing that was counted; returns the number of rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, count in _in_order(counts.by_key.items()):
        mean_s = round(count.stay_s / count.number, 1) if key.kind == "stay" else ""
        writer.writerow([*key, count.number, mean_s])
    return len(counts.by_key)


def _in_order(items: Iterable[tuple[Key, Count]]) -> list[tuple[Key, Count]]:
    """By time, camera, kind, name and direction. Local hours alone would not be in order of time.

    The rows of one period have its earliest time.
    """
    items = list(items)
    begin: dict[str, datetime] = {}
    for key, count in items:
        begin[key.period] = min(begin.get(key.period, count.first), count.first)
    return sorted(items, key=lambda item: (begin[item[0].period], item[0]))


def _may_include(choice: Choice, camera: str, day: date) -> bool:
    """Whether a day's table may have rows of the choice, whatever its time zone was."""
    if choice.cameras and camera not in choice.cameras:
        return False
    after = choice.since is None or day >= choice.since.date() - DAY
    return after and (choice.until is None or day <= choice.until.date() + DAY)


def _add(counts: Counts, camera: str, row: TallyRow, choice: Choice, by: Period) -> None:
    time = row.local_time
    if time is None:  # damaged
        return
    if (choice.since and time < choice.since) or (choice.until and time >= choice.until):
        return
    stay_s = row.stay_s
    if row.kind == "stay" and stay_s is None:
        return
    hour = time.replace(minute=0, second=0, microsecond=0)
    period = hour.isoformat(timespec="minutes") if by == "hour" else hour.date().isoformat()
    key = Key(period, camera, row.kind, row.name, row.direction)
    count = counts.by_key.setdefault(key, Count(time))
    count.first = min(count.first, time)
    count.number += 1
    count.stay_s += stay_s or 0.0
