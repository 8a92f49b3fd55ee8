"""Turns failures of the disk into errors of captures that name the setting that helps."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import CaptureError, PermanentError
from edge.runtime.files import PART_SUFFIX, explain, open_regular, write_atomic

# Of the folder at the start, in seconds, while captures can't be written: soon enough for a person
# who has just remounted the disk, and rarely enough for a card that fails.
RECHECK_S = 5.0
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
    """Makes the folder for captures and tries to write there.

    Raises PermanentError if a file is in its place, and CaptureError for anything that the disk
    or its owner may change while the program runs.
    """
    probe = directory / f".probe-{os.getpid()}{PART_SUFFIX}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        os.close(open_regular(probe, os.O_WRONLY | os.O_CREAT))
        probe.unlink()
    except OSError as error:
        failure = PermanentError if _is_mistake(error, directory) else CaptureError
        raise failure(
            f"captures can't be written to {directory.absolute()}: {_advice(error)}"
        ) from error


def _is_mistake(error: OSError, directory: Path) -> bool:
    """Whether the setting is wrong, and not the disk. A link to a disk that is missing is right."""
    if error.errno == errno.EEXIST:
        return directory.exists()
    return error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG)


class CaptureFolder:
    """Knows whether captures can be written, from a check at the start, repeated until they can.

    trouble: the reason why they can't, for any thread; otherwise empty. The thread that writes
    makes the checks.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._due_s = 0.0
        self.trouble = ""

    def check(self) -> bool:
        """Whether captures can be written. Raises PermanentError as `check_directory`."""
        self.trouble = ""
        try:
            check_directory(self._directory)
        except CaptureError as error:
            self.trouble = str(error)
        return not self.trouble

    def check_again(self) -> bool:
        """As `check`, but a file in the place of the folder is a trouble too."""
        try:
            return self.check()
        except PermanentError as error:
            self.trouble = str(error)
            return False

    def is_due(self) -> bool:
        """Whether to check again now; the next time is `RECHECK_S` later."""
        if not self.trouble or time.monotonic() < self._due_s:
            return False
        self._due_s = time.monotonic() + RECHECK_S
        return True


def _advice(error: OSError) -> str:
    """The end of a sentence: the reason and, if one is known, the remedy."""
    hint = _HINTS.get(error.errno or 0)
    return f"{explain(error)}: {hint}" if hint else explain(error)
