"""The newest captures of a camera; no other file of the disk is served."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from edge.capture.naming import (
    CLIP_SUFFIX,
    DATE_FOLDER,
    SIDECAR_SUFFIX,
    STILL_SUFFIX,
    sanitized,
)
from edge.capture.sidecar import Sidecar
from edge.messages import CaptureKind
from edge.runtime.files import is_regular
from edge.web.timeline import Timeline, read

TYPES: Final = {STILL_SUFFIX: "image/jpeg", CLIP_SUFFIX: "video/mp4"}


class CaptureEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One capture for the page, in JSON.

    id: `<date>/<stem>`. time: ISO 8601 with zone. label, score: the object that triggered it, None
    for a capture on command. still, clip: `<date>/<file name>`, None without such a file.
    """

    id: str
    time: str
    rule: str
    label: str | None
    score: float | None
    still: str | None
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
    clip = next((file for file in sidecar.files if file.kind == "clip"), None)
    return CaptureEntry(
        id=f"{path.parent.name}/{path.stem}",
        time=event.time,
        rule=event.rule,
        label=event.track.label if event.track else None,
        score=event.track.score if event.track else None,
        still=_existing(path, sidecar, "still"),
        clip=_existing(path, sidecar, "clip"),
        duration_s=clip.duration_s if clip else None,
    )


def _existing(path: Path, sidecar: Sidecar, kind: CaptureKind) -> str | None:
    """`<date>/<file name>` of the sidecar's first file of this kind that still exists."""
    names = (file.name for file in sidecar.files if file.kind == kind)
    name = next((name for name in names if is_regular(path.parent / name)), None)
    return None if name is None else f"{path.parent.name}/{name}"
