"""The captures on disk, as retention counts and orders them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edge.capture.naming import SIDECAR_SUFFIX, SUFFIXES, in_order, is_stem
from edge.capture.sidecar import (
    MAX_BYTES,
    MAX_SEQUENCE,
    Sidecar,
    parse_sidecar,
    read_sidecar,
    time_of,
)
from edge.capture.stored.marks import Mark
from edge.capture.stored.tree import date_folders, folders, names_in
from edge.capture.stored.uploaded import mark_of
from edge.errors import CaptureError
from edge.runtime.clock import ClockState
from edge.runtime.files import PART_SUFFIX, abandoned, read_limited, remove_stale


class Order(NamedTuple):
    """Sorts captures from the oldest to the newest. The wall clock has no part in it.

    Captures of versions that did not number them have sequence 0 and are sorted by their names.
    """

    sequence: int
    date: str
    stem: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A group on disk. bytes, files: of all its files. time_s: Unix time of its first event."""

    order: Order
    bytes: int
    files: int
    time_s: float
    clock: ClockState


@dataclass(frozen=True, slots=True)
class Found:
    """The captures in a folder by path of the sidecar. unreadable: sidecars that are damaged."""

    kept: dict[Path, Kept]
    unreadable: list[Path]


def find_captures(root: Path) -> Found:
    """Reads all sidecars below the folder. Raises OSError if the folder itself can't be read.

    A damaged sidecar counts as a capture if it has the name of one; its number is then that of the
    capture before it in its folder. Otherwise it may be another program's.
    """
    found = Found({}, [])
    for folder in date_folders(root):
        before = 0
        for name in _sidecars(folder):
            path = folder / name
            try:
                sidecar = read_sidecar(path)
            except CaptureError:
                if not _is_there(path):
                    continue
                found.unreadable.append(path)
                if is_stem(path.stem):
                    found.kept[path] = replace(kept_of(path, None), order=_order(path, before))
                continue
            if sidecar is not None:
                found.kept[path] = kept_of(path, sidecar)
                before = found.kept[path].order.sequence
    return found


def kept_of(
    path: Path, sidecar: Sidecar | None, bytes_: int | None = None, before: Kept | None = None
) -> Kept:
    """The group of a sidecar.

    bytes_: if they are known; otherwise the files are measured. before: the same group with another
    size, for its order and time if there is no sidecar.
    """
    sizes = list(_sizes(path))
    total = sum(sizes) if bytes_ is None else bytes_
    if sidecar is None:
        known = before or Kept(_order(path, 0), 0, 0, 0.0, "unknown")
        return replace(known, bytes=total, files=len(sizes))
    sequence = sidecar.sequence if sidecar.sequence <= MAX_SEQUENCE else 0
    time_s = time_of(sidecar.events[0]).timestamp()
    return Kept(_order(path, sequence), total, len(sizes), time_s, sidecar.clock)


def newest_beside(root: Path, folder: Path) -> int:
    """The number of the newest capture of this day that another camera has; 0 without one.

    Daemons of several cameras may share a root, and each counts by itself.
    """
    newest = 0
    with suppress(OSError, CaptureError):
        others = [camera for camera in folders(root) if camera != folder.parent]
        for camera in others:
            names = _sidecars(camera / folder.name)
            sidecar = read_sidecar(camera / folder.name / names[-1]) if names else None
            if sidecar is not None and sidecar.sequence <= MAX_SEQUENCE:
                newest = max(newest, sidecar.sequence)
    return newest


def group_files(sidecar: Path) -> list[Path]:
    """Marks of the capture, still, clip and sidecar, in the order of deletion."""
    stem = sidecar.name.removesuffix(SIDECAR_SUFFIX)
    marks = [mark_of(sidecar), *(mark.path(sidecar) for mark in Mark)]
    return [*marks, *(sidecar.with_name(stem + suffix) for suffix in SUFFIXES)]


def clean_up(root: Path) -> None:
    """Completes or removes the unfinished files of killed writers. Raises OSError.

    The temporary file of a sidecar is complete before the newest file that it lists gets its name.
    If that file has its name, the writer was killed between the two, and the sidecar follows now.
    """
    for folder in date_folders(root):
        for name in names_in(folder):
            if not (name.startswith(".") and name.endswith(PART_SUFFIX)):
                continue
            part = folder / name
            final = folder / name[1:].removesuffix(PART_SUFFIX)
            if not (final.suffix == SIDECAR_SUFFIX and _complete(part, final)):
                remove_stale([part])


def _complete(part: Path, final: Path) -> bool:
    """Whether the sidecar has its name now."""
    with suppress(OSError, CaptureError), abandoned(part) as stream:
        sidecar = parse_sidecar(read_limited(stream, MAX_BYTES), final)
        files = sidecar.files if sidecar is not None else []
        if files and _is_there(final.with_name(files[-1].name)):
            part.replace(final)
            return True
    return False


def _sidecars(folder: Path) -> list[str]:
    """The names of sidecars, the oldest first."""
    return in_order(name for name in names_in(folder) if name.endswith(SIDECAR_SUFFIX))


def _order(path: Path, sequence: int) -> Order:
    return Order(sequence, path.parent.name, path.stem)


def _sizes(sidecar: Path) -> Iterator[int]:
    base = str(sidecar).removesuffix(SIDECAR_SUFFIX)
    for suffix in SUFFIXES:
        with suppress(OSError):  # there is none
            status = os.lstat(base + suffix)
            yield status.st_size if stat.S_ISREG(status.st_mode) else 0


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)
