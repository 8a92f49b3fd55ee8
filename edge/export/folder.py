"""A new folder that appears only when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import PermanentError
from edge.runtime.files import PART_SUFFIX, file_errors, open_regular, sync_directory


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Yields a temporary folder that becomes `final` at the end, or is deleted on an error.

    Raises PermanentError if `final` exists, and FileError if writing fails.
    """
    if final.exists():
        raise PermanentError(f"{final} already exists: choose another name or remove it")
    part = final.with_name(f".{final.name}{PART_SUFFIX}")
    with file_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            os.sync()  # one call for all files
            part.replace(final)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_directory(final.parent)


def place(source: Path, target: Path) -> bool:
    """Makes `target` a hard link to `source` where the file system allows it, otherwise a copy.

    Returns False if the source was deleted meanwhile or is no regular file. Raises OSError if the
    target can't be written.
    """
    try:
        descriptor = open_regular(source)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _linked(source, target, descriptor):
            with target.open("xb") as copy:
                shutil.copyfileobj(stream, copy)
            status = os.fstat(descriptor)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return True


def _linked(source: Path, target: Path, descriptor: int) -> bool:
    """Whether `target` is a link to the open file, and not to another that took its name."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, or no links there
        return False
    if os.path.samestat(target.lstat(), os.fstat(descriptor)):
        return True
    target.unlink()
    return False
