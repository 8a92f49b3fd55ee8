"""Writes files that appear whole or not at all, and explains the operating system's errors."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from edge.errors import TemporaryError

PART_SUFFIX: Final = ".edge-part"
DEFAULT_MODE: Final = 0o666  # of a new file, which the umask restricts, as for `open`

_MEANINGS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota of this user is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "this user has no permission",
    errno.EPERM: "this user has no permission",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EEXIST: "a file of that name exists already",
    errno.EAGAIN: "another process is writing it",
    errno.EIO: "the disk failed: check the card or its cable",
}


class FileError(TemporaryError):
    """A file could not be read or written."""


def explain(error: OSError) -> str:
    """The meaning of the operating system's error, as the end of a sentence."""
    return _MEANINGS.get(error.errno or 0) or (error.strerror or str(error)).lower()


@contextmanager
def file_errors(path: Path, done: str = "written") -> Iterator[None]:
    """Turns an OSError into a FileError: "<path> could not be <done>: <reason>"."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path} could not be {done}: {explain(error)}") from error


class PartFile:
    """An unfinished file, under a temporary name beside its final one.

    `publish` makes it durable and renames it; `discard` removes it. Its writer holds a lock on it,
    so that `remove_stale` removes only files of processes that were killed. The constructor and all
    methods raise OSError.
    """

    def __init__(self, final: Path, mode: int = DEFAULT_MODE) -> None:
        self.final = final.absolute()
        self.path = part_of(self.final)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, mode)
        _lock(self._descriptor)
        os.ftruncate(self._descriptor, 0)  # after the lock: another process may be writing it
        if mode != DEFAULT_MODE:  # a killed process may have left a file of another mode
            os.fchmod(self._descriptor, mode)

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
        try:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def write_atomic(
    path: Path, data: bytes, *, replace: bool = True, mode: int = DEFAULT_MODE
) -> None:
    """Writes a file that appears with all its data, durably, or not at all.

    mode: permissions of the new file; the default is reduced by the process's umask, any other is
    set exactly. Raises OSError; FileExistsError for an existing file without `replace`.
    """
    part = PartFile(path, mode)
    try:
        part.write(data)
        part.publish(replace=replace)
    except OSError:
        part.discard()
        raise


def write_file(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Like `write_atomic`, but raises FileError, whose sentence a program can show."""
    with file_errors(path):
        write_atomic(path, data, replace=replace)


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises OSError, also for a larger file and for a pipe, device or folder, which it doesn't open
    for reading: a pipe without a writer would never answer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return data


def open_lock(path: Path) -> IO[bytes]:
    """Opens or creates a file for a lock, without changing it. Raises OSError, also for a link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    stream = os.fdopen(os.open(path, flags, DEFAULT_MODE), "r+b", buffering=0)
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return stream


def part_of(final: Path) -> Path:
    """The temporary name of an unfinished file."""
    return final.with_name(f".{final.name}{PART_SUFFIX}")


def remove_stale(parts: Iterable[Path]) -> int:
    """Removes the temporary files that no process is writing; returns their number."""
    removed = 0
    for path in parts:
        try:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                removed += 1
        except OSError:  # it is being written, or this user may not remove it
            continue
    return removed


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_directory(folder.parent)


def sync_directory(directory: Path) -> None:
    """Makes the renames in a directory durable. Raises OSError."""
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
    except OSError:  # a file system without locks, on which `remove_stale` removes nothing
        pass
