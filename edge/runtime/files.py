"""Files that appear whole or not at all, and what their failures mean."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.errors import CaptureError, PermanentError

PART_SUFFIX: Final = ".edge-part"

_HINTS = {
    errno.ENOSPC: "the disk is full: delete something, or lower capture.max_bytes",
    errno.EDQUOT: "the disk quota is used up: delete something, or lower capture.max_bytes",
    errno.EFBIG: "the file would be larger than is allowed: lower capture.max_clip_s",
    errno.EROFS: "the disk is mounted read-only: remount it writable, or set capture.directory",
    errno.EACCES: "this user may not write there: change the owner, or set capture.directory",
    errno.EPERM: "this user may not write there: change the owner, or set capture.directory",
    errno.ENOTDIR: "part of the path is a file, not a folder: set capture.directory",
    errno.EEXIST: "a file of that name is in the way: move it, or set capture.directory",
    errno.EIO: "the disk failed: check the card or its cable",
}


def explain(error: OSError) -> str:
    """What is wrong and what would mend it, as the end of a sentence."""
    return _HINTS.get(error.errno or 0) or (error.strerror or str(error)).lower()


@contextmanager
def capturing(path: Path, done: str = "written") -> Iterator[None]:
    """Turns a failure of the file system into a CaptureError that names the file."""
    try:
        yield
    except OSError as error:
        raise CaptureError(f"{path} could not be {done}: {explain(error)}") from error


def check_directory(directory: Path) -> None:
    """Makes the folder for captures and tries it. Raises PermanentError in one sentence."""
    probe = directory / f".probe-{os.getpid()}{PART_SUFFIX}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise PermanentError(
            f"captures can't be written to {directory.absolute()}: {explain(error)}"
        ) from error


class PartFile:
    """A file in the making, under a temporary name beside its final one.

    `publish` makes it durable and gives it its name; `discard` removes it. It is locked as long as
    its writer lives, so that `remove_stale` knows what a killed process left behind from what
    another one is writing. Raises OSError, as all its methods do.
    """

    def __init__(self, final: Path) -> None:
        self.final = final.absolute()
        self.path = part_of(self.final)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        _lock(self._descriptor)

    def write(self, data: bytes) -> None:
        with open(self._descriptor, "wb", closefd=False) as stream:
            stream.write(data)

    def publish(self, *, replace: bool = False) -> int:
        """Returns the file's size in bytes. Without `replace`, an existing file is an error."""
        if not replace and self.final.exists():
            raise FileExistsError(errno.EEXIST, "a file of that name appeared", str(self.final))
        os.fsync(self._descriptor)
        size = os.fstat(self._descriptor).st_size
        self.path.replace(self.final)
        sync_directory(self.final.parent)
        os.close(self._descriptor)
        return size

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def write_whole(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Writes a small file at once. Raises CaptureError."""
    with capturing(path):
        part = PartFile(path)
        try:
            part.write(data)
            part.publish(replace=replace)
        except OSError:
            part.discard()
            raise


def part_of(final: Path) -> Path:
    return final.with_name(f".{final.name}{PART_SUFFIX}")


def remove_stale(root: Path) -> int:
    """Removes temporary files in camera/date that nobody writes any more; returns how many."""
    removed = 0
    for path in root.glob(f"*/*/.*{PART_SUFFIX}"):
        try:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                removed += 1
        except OSError:  # being written, or not ours to remove
            continue
    return removed


def make_folder(folder: Path) -> None:
    """Creates it durably, parents too. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_directory(folder.parent)


def sync_directory(directory: Path) -> None:
    """A rename is durable only when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network and FUSE file systems
            raise
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # a file system without locks: then only tidying up is less careful
        pass
