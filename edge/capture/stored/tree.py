"""The folders of captures, <root>/<camera>/<date>, without following a link below the root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.capture.naming import DATE_FOLDER
from edge.runtime.open_files import open_soon

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def date_folders(root: Path) -> Iterator[Path]:
    """All folders that may contain captures, by camera and date.

    Raises OSError if the root can't be read; other unreadable folders are omitted.
    """
    for camera in folders(root):
        try:
            dates = folders(camera)
        except OSError:  # it was removed, or this user may not read it
            continue
        yield from (date for date in dates if DATE_FOLDER.fullmatch(date.name))


def folders(folder: Path) -> list[Path]:
    """Its subfolders by name, without links to folders. Raises OSError."""
    with os.scandir(folder) as entries:
        found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted(folder / name for name in found if _is_text(name))


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none if it is gone, is a link or can't be read."""
    try:
        descriptor = open_soon(folder, _FOLDER)
    except OSError:
        return []
    try:
        with os.scandir(descriptor) as entries:
            return sorted(entry.name for entry in entries if _is_text(entry.name))
    except OSError:  # the disk failed
        return []
    finally:
        os.close(descriptor)


@contextmanager
def opened(root: Path, folder: Path) -> Iterator[int]:
    """The descriptor of a date folder, opened step by step from the root. Raises OSError."""
    descriptor = open_soon(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder.relative_to(root).parts:
            below = open_soon(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def refuse_links(root: Path, folder: Path) -> None:
    """Raises OSError if a folder between the root and this one is a link."""
    for part in (folder, *folder.parents):
        if part == root:
            return
        if part.is_symlink():
            raise NotADirectoryError(
                f"{part} is a link, and no link is followed below the folder of captures: set "
                "capture.directory to its target"
            )


def _is_text(name: str) -> bool:
    """Whether the name can be in a message or table; no name of a capture is other bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
