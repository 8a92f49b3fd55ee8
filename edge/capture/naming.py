"""Names the folders and files of captures: camera/date/time_rule_track, in local time."""

from __future__ import annotations

import os
import re
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

from edge.runtime.files import part_of
from edge.runtime.times import NS_PER_MS, NS_PER_S

STILL_SUFFIX: Final = ".jpg"
CLIP_SUFFIX: Final = ".mp4"
SIDECAR_SUFFIX: Final = ".json"
SUFFIXES: Final = (STILL_SUFFIX, CLIP_SUFFIX, SIDECAR_SUFFIX)  # in the order of deletion
DATE_FOLDER: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# The stems of `free_stem`.
CAPTURE_STEM: Final = re.compile(r"[0-9]{6}\.[0-9]{3}_[A-Za-z0-9_-]+")
_LAST_S: Final = 253_370_764_800  # 9999-01-01 UTC, the last year that a datetime has


def local_time(wall_ns: int) -> datetime:
    """The local time to the microsecond; exact, as no float is involved.

    A time before 1970 or after 9998, which only a wrong clock has, becomes the nearest of these.
    """
    seconds, rest_ns = divmod(min(max(wall_ns, 0), _LAST_S * NS_PER_S), NS_PER_S)
    return datetime.fromtimestamp(seconds).astimezone().replace(microsecond=rest_ns // 1000)


def folder_of(root: Path, camera: str, wall_ns: int) -> Path:
    """The folder of a day: captures/<camera>/<YYYY-MM-DD>."""
    return root / sanitized(camera) / f"{local_time(wall_ns):%Y-%m-%d}"


def free_stem(folder: Path, wall_ns: int, rule: str, track_id: int | None) -> str:
    """A name for one event: <HHMMSS.mmm>_<rule>_<track id>, with -2, -3 … if that is taken."""
    milliseconds = wall_ns % NS_PER_S // NS_PER_MS
    stem = f"{local_time(wall_ns):%H%M%S}.{milliseconds:03d}_{sanitized(rule)}"
    if track_id is not None:
        stem += f"_{track_id}"
    candidates = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(name for name in candidates if not _is_taken(folder, name))


def sanitized(name: str) -> str:
    """The name as a part of a path that any file system takes; at most 64 characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:64] or "-"


def _is_taken(folder: Path, stem: str) -> bool:
    finals = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return any(os.path.lexists(name) for path in finals for name in (path, part_of(path)))
