"""The newest captures of a camera; no other file of the disk is served."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from edge.capture.false_alarm import is_false_alarm, set_false_alarm
from edge.capture.naming import (
    CLIP_SUFFIX,
    DATE_FOLDER,
    SIDECAR_SUFFIX,
    STILL_SUFFIX,
    is_stem,
    sanitized,
)
from edge.capture.sidecar import BoxXyxy, Sidecar
from edge.errors import PermanentError
from edge.messages import CaptureKind
from edge.runtime.files import explain, is_regular
from edge.web.timeline import Timeline, read

TYPES: Final = {STILL_SUFFIX: "image/jpeg", CLIP_SUFFIX: "video/mp4"}


class CaptureEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One capture for the page, in JSON.

    id: `<date>/<stem>`. time: ISO 8601 with zone. label, group, score, box (shares of the picture):
    of the object that triggered it, None for a capture on command. still, clip: `<date>/<file
    name>`, None without such a file. more_stills: the further ones of a burst. false_alarm: whether
    a person marked it as one.
    """

    id: str
    time: str
    rule: str
    label: str | None
    group: str | None
    score: float | None
    box: BoxXyxy | None
    false_alarm: bool
    still: str | None
    more_stills: tuple[str, ...] = ()
    clip: str | None
    duration_s: float | None


class Captures:
    """Reads `<directory>/<camera>/<date>/`, where the daemon writes."""

    def __init__(self, directory: Path, camera: str) -> None:
        self._root = directory / sanitized(camera)
        self._timeline = Timeline(self._root)
        self._lock = threading.Lock()

    @property
    def unreadable(self) -> int:
        """Number of files, in the days read last, that are no readable sidecars."""
        return self._timeline.unreadable

    def newest(self, count: int, before: str = "") -> list[CaptureEntry]:
        """Up to `count` captures, the newest first by UTC; with `before`, an id, those older."""
        with self._lock:
            ids = self._timeline.newest_first(before)
            entries = (_entry(self._root / f"{id_}{SIDECAR_SUFFIX}") for id_ in ids)
            return list(islice((entry for entry in entries if entry is not None), count))

    def mark(self, id_: str, *, false_alarm: bool) -> CaptureEntry | None:
        """Marks a capture as a false alarm, or removes the mark; None if there is no such capture.

        Raises PermanentError if it can't be marked.
        """
        date, _, stem = id_.partition("/")
        if not (DATE_FOLDER.fullmatch(date) and is_stem(stem)):
            return None
        sidecar = self._root / date / f"{stem}{SIDECAR_SUFFIX}"
        if self._root.is_symlink() or read(sidecar) is None:
            return None
        try:
            set_false_alarm(self._root, sidecar, on=false_alarm)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PermanentError(f"{sidecar} can't be marked: {explain(error)}") from error
        return _entry(sidecar)

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
        time=event.time,
        rule=event.rule,
        label=event.track.label if event.track else None,
        group=event.track.group if event.track else None,
        score=event.track.score if event.track else None,
        box=event.track.box_xyxy if event.track else None,
        false_alarm=is_false_alarm(path),
        still=next(iter(stills), None),
        more_stills=tuple(stills[1:]),
        clip=next(iter(_existing(path, sidecar, "clip")), None),
        duration_s=clip.duration_s if clip else None,
    )


def _existing(path: Path, sidecar: Sidecar, kind: CaptureKind) -> list[str]:
    """`<date>/<file name>` of each of the sidecar's files of this kind that still exists."""
    names = (file.name for file in sidecar.files if file.kind == kind)
    return [f"{path.parent.name}/{name}" for name in names if is_regular(path.parent / name)]
