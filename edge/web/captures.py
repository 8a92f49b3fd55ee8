"""The newest captures of a camera, and nothing else of the disk."""

from __future__ import annotations

from collections.abc import Iterator
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
from edge.capture.sidecar import Sidecar, read_sidecar
from edge.errors import CaptureError

TYPES: Final = {STILL_SUFFIX: "image/jpeg", CLIP_SUFFIX: "video/mp4"}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One capture. id: `<date>/<stem>`. still, clip: `<date>/<file name>` where there is one.

    time: ISO 8601 with zone. label, score: of the object, where one triggered it.
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
    """Reads `<directory>/<camera>/<date>/`, which the daemon writes."""

    def __init__(self, directory: Path, camera: str) -> None:
        self._root = directory / sanitized(camera)

    def newest(self, count: int, before: str = "") -> list[Shown]:
        """The newest first; those older than the one whose id is `before`, if given."""
        found = []
        for sidecar in self._sidecars(before):
            if (shown := _shown(sidecar)) is not None:
                found.append(shown)
            if len(found) == count:
                break
        return found

    def file(self, date: str, name: str) -> tuple[Path, str] | None:
        """Path and media type of a still or clip; None for anything else, whatever the names."""
        media_type = TYPES.get(Path(name).suffix)
        if not DATE_FOLDER.fullmatch(date) or media_type is None or Path(name).name != name:
            return None
        path = self._root / date / name
        try:
            inside = path.resolve(strict=True).is_relative_to(self._root.resolve())
        except (OSError, ValueError):  # not there, or a name that no file can have
            return None
        if name.startswith(".") or not inside or not path.is_file():
            return None
        return path, media_type

    def _sidecars(self, before: str) -> Iterator[Path]:
        """Names begin with the time, so that their order is that of time."""
        last_date, _, last_stem = before.partition("/")
        try:
            dates = [path.name for path in self._root.iterdir() if path.is_dir()]
        except OSError:  # no capture yet
            return
        for date in sorted(filter(DATE_FOLDER.fullmatch, dates), reverse=True):
            if before and date > last_date:
                continue
            stems = [path.stem for path in (self._root / date).glob(f"*{SIDECAR_SUFFIX}")]
            for stem in sorted(stems, reverse=True):
                if not before or date < last_date or stem < last_stem:
                    yield self._root / date / f"{stem}{SIDECAR_SUFFIX}"


def _shown(path: Path) -> Shown | None:
    """None for what isn't one of the daemon's captures, or is just being removed."""
    try:
        sidecar = read_sidecar(path)
    except CaptureError:
        return None
    if sidecar is None or not sidecar.events:
        return None
    event = sidecar.events[0]
    clip = next((file for file in sidecar.files if file.kind == "clip"), None)
    return Shown(
        id=f"{path.parent.name}/{path.stem}",
        time=event.time,
        rule=event.rule,
        label=event.track.label if event.track else None,
        score=event.track.score if event.track else None,
        still=_named(path, sidecar, "still"),
        clip=_named(path, sidecar, "clip"),
        duration_s=clip.duration_s if clip else None,
    )


def _named(path: Path, sidecar: Sidecar, kind: str) -> str | None:
    names = [file.name for file in sidecar.files if file.kind == kind]
    there = [name for name in names if (path.parent / name).is_file()]
    return f"{path.parent.name}/{there[0]}" if there else None
