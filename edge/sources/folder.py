"""Lists the pictures of a folder and its subfolders in natural order: shot2 before shot10."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.errors import SourceError
from edge.sources.stills import SUFFIXES

MAX_PICTURES: Final = 1_000_000  # about 300 MB of names
DIGITS: Final = re.compile(r"(\d+)")


class Listing:
    """The pictures below a folder, by their names alone; nothing is opened.

    Hidden files and folders are left out. Links to folders are not followed, so that there is no
    loop. omitted: the number of other entries that are not read, by their reason.
    """

    def __init__(self, folder: Path) -> None:
        """Raises SourceError if the folder can't be read, or has more than MAX_PICTURES."""
        self.omitted: Counter[str] = Counter()
        self._found: list[Path] = []
        folders = [folder]
        while folders:
            here = folders.pop()
            try:
                with os.scandir(here) as entries:
                    folders += self._sorted_out(here, entries)
            except OSError as error:
                if here == folder:
                    raise SourceError(f"source {folder}: {error.strerror}") from error
                self.omitted["folder without permission to read"] += 1
        self.paths = sorted(self._found, key=lambda path: natural_key(path.relative_to(folder)))

    def _sorted_out(self, folder: Path, entries: Iterable[os.DirEntry[str]]) -> list[Path]:
        """Keeps the pictures, and returns the subfolders."""
        folders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            named_as_picture = path.suffix.lower() in SUFFIXES
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_symlink() and path.is_dir() and not named_as_picture:
                self.omitted["folder that is a link"] += 1
            if named_as_picture:  # also if it is a folder, which is counted as it is read
                self._found.append(path)
        if len(self._found) > MAX_PICTURES:
            raise SourceError(
                f"source {folder}: there are more than {MAX_PICTURES} pictures up to here; "
                "play parts of it"
            )
        return folders


def natural_key(path: Path) -> tuple[tuple[tuple[str | int, ...], str], ...]:
    """Sorts numbers in names by their values, and letters without regard to case."""
    return tuple((_parts(name), name) for name in path.parts)


def _parts(name: str) -> tuple[str | int, ...]:
    """Text and numbers alternate, so that two names compare part by part."""
    pieces = DIGITS.split(name.casefold())
    return tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces))
