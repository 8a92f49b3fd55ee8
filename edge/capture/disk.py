"""Turns failures of the disk into errors of captures that name the setting that helps."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import CaptureError, PermanentError
from edge.runtime.files import PART_SUFFIX, explain, open_regular, write_atomic

_ELSEWHERE = "or set capture.directory to another folder"
_HINTS = {
    errno.ENOSPC: "delete something, or lower capture.max_bytes",
    errno.EDQUOT: "delete something, or lower capture.max_bytes",
    errno.EFBIG: "lower capture.max_clip_s",
    errno.EROFS: f"remount it writable, {_ELSEWHERE}",
    errno.EACCES: f"change the owner of the folder, {_ELSEWHERE}",
    errno.EPERM: f"change the owner of the folder, {_ELSEWHERE}",
    errno.ENOTDIR: f"move that file, {_ELSEWHERE}",
    errno.EEXIST: f"move it, {_ELSEWHERE}",
}


@contextmanager
def capturing(path: Path, done: str = "written") -> Iterator[None]:
    """Turns an OSError into a CaptureError that names the file and says what to do."""
    try:
        yield
    except OSError as error:
        raise CaptureError(f"{path} could not be {done}: {_advice(error)}") from error


def write(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Writes a file that appears whole or not at all. Raises CaptureError."""
    with capturing(path):
        write_atomic(path, data, replace=replace)


def check_directory(directory: Path) -> None:
    """Makes the folder for captures and tries to write there. Raises PermanentError."""
    probe = directory / f".probe-{os.getpid()}{PART_SUFFIX}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        os.close(open_regular(probe, os.O_WRONLY | os.O_CREAT))
        probe.unlink()
    except OSError as error:
        raise PermanentError(
            f"captures can't be written to {directory.absolute()}: {_advice(error)}"
        ) from error


def _advice(error: OSError) -> str:
    """The end of a sentence: the reason and, if one is known, the remedy."""
    hint = _HINTS.get(error.errno or 0)
    return f"{explain(error)}: {hint}" if hint else explain(error)
