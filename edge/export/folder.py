"""A new folder that appears only when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import PermanentError
from edge.runtime.files import PART_SUFFIX, file_errors, sync_directory


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


def place(source: Path, target: Path) -> None:
    """Makes `target` a hard link to `source` where the file system allows it, otherwise a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copy2(source, target)
