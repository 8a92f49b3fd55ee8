"""Names the folders and files of captures: camera/date, and a name that is unique by itself.

Files of earlier versions are named <HHMMSS.mmm>_<rule>_<track id>, in local time. They stay in the
same folders, so that all readers know both forms.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from edge.config.schema import MAX_STILLS
from edge.runtime.files import part_of
from edge.runtime.times import NS_PER_S

STILL_SUFFIX: Final = ".jpg"
CLIP_SUFFIX: Final = ".mp4"
SIDECAR_SUFFIX: Final = ".json"
# Of all stills of an event. No name of another capture ends so, as the parts of names have no dots.
STILL_SUFFIXES: Final = (STILL_SUFFIX, *(f".{n}{STILL_SUFFIX}" for n in range(2, MAX_STILLS + 1)))
# In the order of deletion.
SUFFIXES: Final = (*STILL_SUFFIXES[::-1], CLIP_SUFFIX, SIDECAR_SUFFIX)
DATE_FOLDER: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}(Z|[+-][0-9]{4})")
_OLD_STEM: Final = re.compile(r"[0-9]{6}\.[0-9]{3}_[A-Za-z0-9_-]+")
_PART_LENGTH: Final = 48  # characters of a name within the name of a file
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


def is_date(name: str) -> bool:
    """Whether this is the name of a folder for a day that the calendar has."""
    try:
        return bool(DATE_FOLDER.fullmatch(name) and datetime.fromisoformat(name))
    except ValueError:  # 30 February
        return False


def stem_of(
    pattern: str, wall_ns: int, *, camera: str, deployment: str, rule: str, number: int
) -> str:
    """The name of one event's files without suffix, from the pattern of the settings."""
    local = local_time(wall_ns)
    milliseconds = f"{local.microsecond // 1000:03d}"
    return pattern.format(
        camera=sanitized(camera, _PART_LENGTH),
        deployment=sanitized(deployment, _PART_LENGTH),
        utc=f"{local.astimezone(UTC):%Y%m%dT%H%M%S}.{milliseconds}Z",
        local=f"{local:%Y%m%dT%H%M%S}.{milliseconds}{local:%z}",
        rule=sanitized(rule, _PART_LENGTH),
        number=number,
    )


def free_stem(folder: Path, stem: str) -> str:
    """The name if it is free in the folder, otherwise the name with -2, -3 …."""
    candidates = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(name for name in candidates if not _is_taken(folder, name))


def is_stem(name: str) -> bool:
    """Whether files of a capture may have this name, in the present or the earlier form."""
    return bool(_STAMP.search(name) or _OLD_STEM.fullmatch(name))


def time_in(date: str, name: str) -> datetime | None:
    """The time that a name has, with its zone; None if it has none.

    date: of its folder, which the earlier form needs.
    """
    try:
        if stamp := _STAMP.search(name):
            return datetime.fromisoformat(stamp.group())
        named = datetime.strptime(f"{date} {name[:6]}", "%Y-%m-%d %H%M%S")
        # Of an hour that occurs twice the later: rather repeat captures than omit some.
        return named.replace(fold=1).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def in_order(names: Iterable[str]) -> list[str]:
    """Names within a folder from the oldest to the newest; those of the earlier form come first."""

    def age(name: str) -> tuple[float, str]:
        time = time_in("", name)
        return (time.timestamp() if time else -math.inf, name)

    return sorted(names, key=age)


def sanitized(name: str, length: int = 64) -> str:
    """The name as a part of a path that any file system takes, cut to this many characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:length] or "-"


def _is_taken(folder: Path, stem: str) -> bool:
    finals = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return any(os.path.lexists(name) for path in finals for name in (path, part_of(path)))
