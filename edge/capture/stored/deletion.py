"""Deletes captures, for retention and for people.

A person's deletion happens in another process than retention, which counts the bytes of what it
keeps. The file `.deleted` in the folder of captures, which grows by a byte with each deletion,
tells it to look which captures are gone.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.capture.naming import SIDECAR_SUFFIX, SUFFIXES
from edge.capture.stored.kept import group_files
from edge.capture.stored.tree import opened
from edge.runtime.files import abandoned, part_of

_NOTE: Final = ".deleted"
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def unlink_group(root: Path, sidecar: Path) -> None:
    """Deletes the files of a capture, the sidecar last, as it identifies a half-deleted group.

    Raises OSError, also if a folder between the root and the capture has become a link, and
    FileNotFoundError if its folder is gone. Files that are gone are no error.
    """
    with opened(root, sidecar.parent) as folder:
        for path in group_files(sidecar):
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=folder)


def delete_capture(root: Path, sidecar: Path) -> None:
    """Deletes a capture from another process than the one that writes captures.

    root: of all cameras. Raises BlockingIOError while its clip is being written, FileNotFoundError
    if it is gone, and OSError if it can't be deleted.
    """
    if _is_being_written(sidecar):
        raise BlockingIOError(errno.EAGAIN, "it is still being written", str(sidecar))
    if not sidecar.exists():
        raise FileNotFoundError(f"{sidecar} is gone")
    try:
        unlink_group(root, sidecar)
    finally:
        _note_deletion(root)


def deletions(root: Path) -> int:
    """Number of calls of `delete_capture` so far."""
    try:
        return (root / _NOTE).lstat().st_size
    except OSError:
        return 0


def _note_deletion(root: Path) -> None:
    with suppress(OSError):  # without it, retention notices the deletion within the hour
        descriptor = os.open(root / _NOTE, _APPEND, 0o660)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)


def _is_being_written(sidecar: Path) -> bool:
    """Whether a process has locked the temporary file of one of its files."""
    stem = sidecar.name.removesuffix(SIDECAR_SUFFIX)
    for suffix in SUFFIXES:
        try:
            with abandoned(part_of(sidecar.with_name(stem + suffix))):
                continue
        except BlockingIOError:
            return True
        except OSError:  # there is none
            continue
    return False
