"""Marks captures that were uploaded, so that retention can delete these first.

The mark is an empty file `<stem>.uploaded` with the modification time of the sidecar. A capture
that is extended later has a newer sidecar: it counts as not uploaded, and is uploaded again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from edge.capture.naming import SIDECAR_SUFFIX
from edge.capture.stored.tree import opened

MARK_SUFFIX: Final = ".uploaded"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")


def mark_of(sidecar: Path) -> Path:
    """The path of the mark of this capture."""
    return sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX) + MARK_SUFFIX)


def is_uploaded(sidecar: Path) -> bool:
    """Whether the capture, as it is now, has a mark."""
    try:
        return sidecar.lstat().st_mtime_ns == mark_of(sidecar).lstat().st_mtime_ns
    except OSError:  # it has no mark, or was deleted
        return False


def mark(root: Path, sidecar: Path, mtime_ns: int) -> bool:
    """Marks a capture unless it has changed or is gone; returns whether it has the mark now.

    mtime_ns: modification time that the sidecar had when it was uploaded. Raises OSError.
    """
    with opened(root, sidecar.parent) as folder:
        name = mark_of(sidecar).name
        descriptor = os.open(name, _CREATE, 0o640, dir_fd=folder)
        try:
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(descriptor)
        if is_uploaded(sidecar):
            return True
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        return False


def uploaded_first(captures: Iterable[tuple[Path, T]]) -> Iterator[tuple[Path, T]]:
    """The same captures, by path of the sidecar; those with a mark come first."""
    rest = []
    for item in captures:
        if is_uploaded(item[0]):
            yield item
        else:
            rest.append(item)
    yield from rest
