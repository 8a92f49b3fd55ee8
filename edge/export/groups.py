"""The captures of a folder, read from their sidecars."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from edge.capture.naming import SIDECAR_SUFFIX
from edge.capture.sidecar import (
    EventEntry,
    FileEntry,
    Sidecar,
    SiteEntry,
    TrackEntry,
    read_sidecar,
    time_of,
)
from edge.capture.stored.marks import Mark
from edge.capture.stored.tree import date_folders, names_in
from edge.errors import CaptureError, PermanentError
from edge.messages import CaptureKind
from edge.runtime.files import is_regular


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of captures: of these cameras (empty = all), with since <= start < until."""

    cameras: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, group: Group) -> bool:
        time = time_of(group.events[0])
        return (
            (not self.cameras or group.camera in self.cameras)
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


@dataclass(frozen=True, slots=True)
class Medium:
    """The file of a still or clip, and the event for which it was made.

    number: of a still among those of its event, from 1.
    """

    path: Path
    file: FileEntry
    event: EventEntry
    number: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """Events that share a clip, or one event alone, in order of time, with their files.

    false_alarms: ids of the events that a person marked as such.
    """

    camera: str
    model: str
    events: tuple[EventEntry, ...]
    media: tuple[Medium, ...]
    site: SiteEntry
    boot_id: str
    false_alarms: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return self.events[0].event_id

    @property
    def deployment(self) -> str:
        """The id in the sidecar; the camera's name for captures of versions without one."""
        return self.site.deployment or self.camera

    @property
    def start(self) -> datetime:
        return min([time_of(entry) for entry in self.events]
                   + [time_of(medium.file) for medium in self.media])  # fmt: skip

    @property
    def end(self) -> datetime:
        files = (medium.file for medium in self.media)
        ends = [time_of(file) + timedelta(seconds=file.duration_s or 0) for file in files]
        return max(ends + [time_of(event) for event in self.events])

    def stills_of(self, event: EventEntry) -> list[Medium]:
        """The stills of this event that exist."""
        return [medium for medium in self.stills() if medium.event.event_id == event.event_id]

    def stills(self) -> list[Medium]:
        return [medium for medium in self.media if medium.file.kind == "still"]

    @property
    def clip(self) -> Medium | None:
        return next((medium for medium in self.media if medium.file.kind == "clip"), None)

    def track_of(self, event: EventEntry) -> TrackEntry | None:
        """The object of the event; None for a capture on command and for a false alarm."""
        return None if event.event_id in self.false_alarms else event.track

    def track_on(self, still: Medium) -> TrackEntry | None:
        """The object where it is in a still; None if it isn't known to be there."""
        if still.event.event_id in self.false_alarms:
            return None
        if still.number > 1 or still.file.track is not None:
            return still.file.track
        return still.event.track

    def tracks(self) -> list[tuple[EventEntry, TrackEntry]]:
        """Each object once, with the event in which it has the highest score."""
        best: dict[int, tuple[EventEntry, TrackEntry]] = {}
        for event in self.events:
            if (track := self.track_of(event)) is not None:
                known = best.get(track.id)
                if known is None or track.score > known[1].score:
                    best[track.id] = event, track
        return list(best.values())


@dataclass(frozen=True, slots=True)
class Reading:
    """The chosen groups by camera and time. unreadable: sidecars and media that were left out."""

    groups: tuple[Group, ...]
    unreadable: tuple[Path, ...]


def read_groups(root: Path, choice: Choice | None = None) -> Reading:
    """Reads all sidecars. Raises PermanentError if the folder has no captures."""
    choice = choice or Choice()
    unreadable: list[Path] = []
    sidecars = list(_sidecars(root, unreadable))
    if not sidecars:
        number = f"{len(unreadable)} that can't be read" if unreadable else "none"
        raise PermanentError(
            f"{root} contains no captures ({number}): give their folder with --captures DIR"
        )
    result = [_group(parts, unreadable) for parts in _sharing_events(sidecars)]
    result.sort(key=lambda group: (group.camera, time_of(group.events[0])))
    return Reading(tuple(filter(choice.includes, result)), tuple(unreadable))


_Placed = tuple[Path, Sidecar]  # a sidecar after its path


def _sidecars(root: Path, unreadable: list[Path]) -> Iterator[_Placed]:
    """Those that can be read; adds the others to `unreadable`."""
    try:
        folders = list(date_folders(root))
    except OSError:  # no folder, which is reported as one without captures
        return
    for folder in folders:
        for name in names_in(folder):
            if not name.endswith(SIDECAR_SUFFIX):
                continue
            try:
                sidecar = read_sidecar(folder / name)
            except CaptureError:
                unreadable.append(folder / name)
                continue
            if sidecar is not None:
                yield folder / name, sidecar


def _sharing_events(sidecars: Iterable[_Placed]) -> list[list[_Placed]]:
    """Lists of sidecars that have events in common.

    An event that lengthened another event's clip is in the sidecar of that clip and in that of its
    still.
    """
    by_event: dict[str, list[_Placed]] = {}
    for placed in sidecars:
        parts = [placed]
        for event in placed[1].events:
            known = by_event.get(event.event_id)
            if known is not None and known is not parts:
                parts.extend(known)
                by_event.update((e.event_id, parts) for _, other in known for e in other.events)
            by_event[event.event_id] = parts
    return list({id(parts): parts for parts in by_event.values()}.values())


def _media(path: Path, sidecar: Sidecar) -> Iterator[Medium]:
    for kind in get_args(CaptureKind):
        files = [file for file in sidecar.files if file.kind == kind]
        for number, file in enumerate(files, 1):
            yield Medium(path.with_name(file.name), file, sidecar.events[0], number)


def _group(parts: list[_Placed], unreadable: list[Path]) -> Group:
    events = {event.event_id: event for _, sidecar in parts for event in sidecar.events}
    media = [medium for path, sidecar in parts for medium in _media(path, sidecar)]
    present = [medium for medium in media if is_regular(medium.path)]
    # A file that is gone was deleted on purpose; a link, folder or device is not a capture's file.
    unreadable += [m.path for m in media if m not in present and os.path.lexists(m.path)]
    first = parts[0][1]
    return Group(
        first.camera,
        first.model,
        tuple(sorted(events.values(), key=time_of)),
        tuple(sorted(present, key=lambda medium: time_of(medium.file))),
        first.site,
        first.boot_id,
        frozenset(
            event.event_id
            for path, sidecar in parts
            if Mark.FALSE_ALARM.is_on(path)
            for event in sidecar.events
        ),
    )
