"""The captures of a camera: listed, filtered, marked and deleted; no other file is served."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from edge.capture.naming import (
    CLIP_SUFFIX,
    DATE_FOLDER,
    SIDECAR_SUFFIX,
    STILL_SUFFIX,
    is_stem,
    sanitized,
)
from edge.capture.sidecar import BoxXyxy, FileEntry, Sidecar
from edge.capture.stored.deletion import delete_capture
from edge.capture.stored.marks import Mark
from edge.errors import PermanentError, TemporaryError
from edge.messages import CaptureKind
from edge.runtime.files import explain, is_regular
from edge.web.thumbnails import thumbnail
from edge.web.timeline import Facts, Timeline, read

TYPES: Final = {STILL_SUFFIX: "image/jpeg", CLIP_SUFFIX: "video/mp4"}
MAX_EXAMINED: Final = 10_000  # captures that one request with a filter examines
MAX_LISTED_DAYS: Final = 366
RECENT_DAYS: Final = 7  # whose rules, labels and zones can be chosen


class BusyError(TemporaryError):
    """The daemon is still writing the capture."""


class CaptureEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One capture for the page, in JSON.

    id: `<date>/<stem>`. event_id: of its first event. time: ISO 8601 with zone. label, group,
    score, box (shares of the picture): of the object that triggered it, None for a capture on
    command. zones: in which it stood. still, clip: `<date>/<file name>`, None without such a file.
    more_stills: the further ones of a burst. still_boxes: the box in each still, None where it is
    not known. false_alarm, star: marks of a person.
    """

    id: str
    event_id: str
    time: str
    rule: str
    label: str | None
    group: str | None
    score: float | None
    box: BoxXyxy | None
    zones: tuple[str, ...]
    false_alarm: bool
    star: bool
    still: str | None
    more_stills: tuple[str, ...] = ()
    still_boxes: tuple[BoxXyxy | None, ...] = ()
    clip: str | None
    duration_s: float | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A filter for captures by their first events; an empty text and None stand for any.

    day: YYYY-MM-DD, and hour: 0 to 23, of the camera's local time. label: or a group of labels.
    """

    day: str = ""
    hour: int | None = None
    rule: str = ""
    label: str = ""
    zone: str = ""
    star: bool = False

    def includes(self, facts: Facts) -> bool:
        """Whether the facts fit; the star is no fact of the sidecar."""
        return (
            self.hour in (None, facts.hour)
            and self.rule in ("", facts.rule)
            and (not self.label or self.label in facts.labels)
            and (not self.zone or self.zone in facts.zones)
        )


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of filters, and the captures of one day by the hour.

    days: with a folder, the newest first. day: the one that was asked for, or the newest. hours: 24
    numbers of captures. rules, labels, zones: of captures of the last days and of this day.
    """

    days: list[str]
    day: str
    hours: list[int]
    rules: list[str]
    labels: list[str]
    zones: list[str]


class Captures:
    """Reads `<directory>/<camera>/<date>/`, where the daemon writes."""

    def __init__(self, directory: Path, camera: str) -> None:
        self._directory = directory
        self._root = directory / sanitized(camera)
        self._timeline = Timeline(self._root)
        self._lock = threading.Lock()
        self._drawing = threading.Lock()  # one thumbnail at a time, for the sake of memory

    @property
    def unreadable(self) -> int:
        """Number of files, in the days read last, that are no readable sidecars."""
        return self._timeline.unreadable

    def newest(
        self, count: int, before: str = "", wanted: Wanted | None = None
    ) -> list[CaptureEntry]:
        """Up to `count` captures, the newest first by UTC; with `before`, an id, those older.

        With a filter, up to `MAX_EXAMINED` captures are examined.
        """
        wanted = wanted or Wanted()
        with self._lock:
            ids = self._timeline.newest_first(before, wanted.day)
            if wanted != Wanted():
                ids = (id_ for id_ in islice(ids, MAX_EXAMINED) if self._is_wanted(id_, wanted))
            entries = (_entry(self._root / f"{id_}{SIDECAR_SUFFIX}") for id_ in ids)
            return list(islice((entry for entry in entries if entry is not None), count))

    def overview(self, wanted: Wanted) -> Overview:
        """The day's captures by the hour, as the other parts of the filter allow."""
        with self._lock:
            days = self._timeline.dates()
            day = wanted.day or next(iter(days), "")
            recent = {date: self._timeline.day(date).values() for date in days[:RECENT_DAYS]}
            if day in days and day not in recent:
                recent[day] = self._timeline.day(day).values()
        any_hour = msgspec.structs.replace(wanted, hour=None)
        hours = Counter(facts.hour for facts in recent.get(day, ()) if any_hour.includes(facts))
        known = [facts for facts_of_day in recent.values() for facts in facts_of_day]
        return Overview(
            days=days[:MAX_LISTED_DAYS],
            day=day,
            hours=[hours[hour] for hour in range(24)],
            rules=sorted({facts.rule for facts in known}),
            labels=sorted({label for facts in known for label in facts.labels}),
            zones=sorted({zone for facts in known for zone in facts.zones}),
        )

    def mark(self, id_: str, mark: Mark, *, on: bool) -> CaptureEntry | None:
        """Marks a capture, or removes the mark; None if there is no such capture.

        Raises PermanentError if it can't be marked.
        """
        sidecar = self._sidecar(id_)
        if sidecar is None or read(sidecar) is None:
            return None
        try:
            mark.set(self._root, sidecar, on=on)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PermanentError(f"{sidecar} can't be marked: {explain(error)}") from error
        return _entry(sidecar)

    def delete(self, id_: str) -> bool:
        """Deletes the files of a capture; False if there is no such capture.

        Raises BusyError while its clip is being written, PermanentError if it can't be deleted.
        """
        sidecar = self._sidecar(id_)
        if sidecar is None or read(sidecar) is None:
            return False
        try:
            delete_capture(self._directory, sidecar)
        except FileNotFoundError:
            return False
        except BlockingIOError as error:
            raise BusyError("this capture is still being written; wait for its clip") from error
        except OSError as error:
            raise PermanentError(f"{sidecar} can't be deleted: {explain(error)}") from error
        return True

    def thumbnail(self, id_: str) -> bytes | None:
        """A JPEG of the object that triggered the capture; None without a still."""
        sidecar = self._sidecar(id_)
        entry = None if sidecar is None else _entry(sidecar)
        if entry is None or entry.still is None:
            return None
        with self._drawing:
            return thumbnail(self._root / entry.still, entry.still_boxes[0])

    def file(self, date: str, name: str) -> tuple[Path, str] | None:
        """Path and media type of a still or clip; None for other files and for invalid names."""
        media_type = TYPES.get(Path(name).suffix)
        if not DATE_FOLDER.fullmatch(date) or media_type is None or Path(name).name != name:
            return None
        folder = self._root / date
        linked = self._root.is_symlink() or folder.is_symlink()
        if name.startswith(".") or linked or not is_regular(folder / name):
            return None
        return folder / name, media_type

    def _is_wanted(self, id_: str, wanted: Wanted) -> bool:
        facts = self._timeline.facts(id_)
        if facts is None or not wanted.includes(facts):
            return False
        return not wanted.star or Mark.STAR.is_on(self._root / f"{id_}{SIDECAR_SUFFIX}")

    def _sidecar(self, id_: str) -> Path | None:
        """The path for an id; None for a text that is none, and behind a link."""
        date, _, stem = id_.partition("/")
        if not (DATE_FOLDER.fullmatch(date) and is_stem(stem)):
            return None
        folder = self._root / date
        if self._root.is_symlink() or folder.is_symlink() or "/" in stem or "\0" in stem:
            return None
        return folder / f"{stem}{SIDECAR_SUFFIX}"


def _entry(path: Path) -> CaptureEntry | None:
    """None for a file that is not a sidecar of the daemon, or that is being deleted."""
    sidecar = read(path)
    if sidecar is None:
        return None
    event = sidecar.events[0]
    stills = _existing(path, sidecar, "still")
    clip = next((file for file in sidecar.files if file.kind == "clip"), None)
    return CaptureEntry(
        id=f"{path.parent.name}/{path.stem}",
        event_id=event.event_id,
        time=event.time,
        rule=event.rule,
        label=event.track.label if event.track else None,
        group=event.track.group if event.track else None,
        score=event.track.score if event.track else None,
        box=event.track.box_xyxy if event.track else None,
        zones=event.zones,
        false_alarm=Mark.FALSE_ALARM.is_on(path),
        star=Mark.STAR.is_on(path),
        still=next((name for name, _ in stills), None),
        more_stills=tuple(name for name, _ in stills[1:]),
        still_boxes=tuple(_box_in(file, sidecar) for _, file in stills),
        clip=next((name for name, _ in _existing(path, sidecar, "clip")), None),
        duration_s=clip.duration_s if clip else None,
    )


def _existing(path: Path, sidecar: Sidecar, kind: CaptureKind) -> list[tuple[str, FileEntry]]:
    """`<date>/<file name>` of each of the sidecar's files of this kind that still exists."""
    return [
        (f"{path.parent.name}/{file.name}", file)
        for file in sidecar.files
        if file.kind == kind and is_regular(path.parent / file.name)
    ]


def _box_in(still: FileEntry, sidecar: Sidecar) -> BoxXyxy | None:
    """The box of the object in a still; None if the sidecar doesn't know it."""
    first = next(file for file in sidecar.files if file.kind == "still")
    track = still.track or (sidecar.events[0].track if still is first else None)
    return track.box_xyxy if track else None
