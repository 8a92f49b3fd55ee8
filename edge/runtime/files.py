"""Writes files that appear whole or not at all, and reads and locks regular files only.

A link in the last part of a path is followed only where a caller asks for it, and a FIFO or device
never blocks the caller.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from edge.errors import TemporaryError
from edge.runtime.open_files import open_soon

PART_SUFFIX: Final = ".edge-part"
DEFAULT_MODE: Final = 0o666  # of a new file, which the umask restricts, as for `open`
# O_NONBLOCK: opening a FIFO waits for its other end, and some devices wait for a carrier.
_OPEN_FLAGS: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

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
    errno.ELOOP: "it is a link, which is not followed here",
    errno.ENXIO: "it is not a regular file",
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


def open_regular(
    path: Path,
    flags: int = os.O_RDONLY,
    mode: int = DEFAULT_MODE,
    *,
    follow_link: bool = False,
) -> int:
    """Opens a regular file and returns its descriptor; waits only for descriptors (`open_soon`).

    flags: as for `os.open`. follow_link: for a path that a person wrote, which may be a link.
    Raises OSError, also for a link that is not followed, and for a folder, FIFO, socket or device.
    """
    flags |= _OPEN_FLAGS if follow_link else _OPEN_FLAGS | os.O_NOFOLLOW
    descriptor = open_soon(path, flags, mode)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.ENXIO, "it is not a regular file", str(path))


def read_regular(path: Path, limit_bytes: int, *, follow_link: bool = False) -> bytes:
    """The content of a regular file of at most `limit_bytes`; see `open_regular`.

    Raises OSError, also for a larger file.
    """
    with open(open_regular(path, follow_link=follow_link), "rb") as stream:
        return read_limited(stream, limit_bytes)


def read_limited(stream: IO[bytes], limit_bytes: int) -> bytes:
    """The rest of an open file, if it has at most `limit_bytes`. Raises OSError if it has more."""
    size = os.fstat(stream.fileno()).st_size
    data = stream.read(min(size, limit_bytes) + 1)  # a buffer of the limit's size takes time
    if len(data) > size:  # it grows, or is a file of /proc
        data += stream.read(limit_bytes + 1 - len(data))
    if len(data) > limit_bytes:
        raise OSError(errno.E2BIG, f"it is larger than {limit_bytes} bytes")
    return data


def is_regular(path: Path) -> bool:
    """Whether a regular file is there, and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False


def open_lock(path: Path) -> IO[bytes]:
    """Makes and locks a file until it is closed; nothing is written to it.

    Its holder may delete it before closing it. Raises BlockingIOError if another process holds the
    lock, and OSError, also if the path is a link, folder, FIFO, socket or device.
    """
    while True:
        stream = open(open_regular(path, os.O_RDWR | os.O_CREAT), "r+b")  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_open_at(stream, path):
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()  # its holder deleted it between the two calls, so others lock a new one


def _is_open_at(stream: IO[bytes], path: Path) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.lstat())
    except FileNotFoundError:
        return False


class PartFile:
    """An unfinished file, under a temporary name beside its final one.

    `publish` makes it durable and renames it; `discard` removes it. Its writer holds a lock on it,
    so that `remove_stale` removes only files of processes that were killed. The constructor and all
    methods raise OSError. `sync` and `rename` are the steps of `publish`, for files that must
    appear together.
    """

    def __init__(self, final: Path, mode: int = DEFAULT_MODE) -> None:
        self.final = final.absolute()
        self.path = part_of(self.final)
        self._descriptor = open_regular(self.path, os.O_RDWR | os.O_CREAT, mode)
        try:
            _lock(self._descriptor)
            os.ftruncate(self._descriptor, 0)  # after the lock: another process may be writing it
            if mode != DEFAULT_MODE:  # a killed process may have left a file of another mode
                os.fchmod(self._descriptor, mode)
        except BaseException:
            self.close()
            raise

    def write(self, data: bytes) -> None:
        with open(self._descriptor, "wb", closefd=False) as stream:
            stream.write(data)

    def sync(self) -> int:
        """Makes the content durable; returns its size in bytes."""
        os.fsync(self._descriptor)
        return os.fstat(self._descriptor).st_size

    def rename(self, *, replace: bool = False) -> None:
        """Gives it the final name. Without `replace`, an existing file is an error."""
        if replace:
            _refuse_special(self.final)
        elif self.final.is_symlink() or self.final.exists():
            raise FileExistsError(errno.EEXIST, "a file of that name appeared", str(self.final))
        self.path.replace(self.final)
        self.close()

    def publish(self, *, replace: bool = False) -> int:
        """Returns the file's size in bytes. Without `replace`, an existing file is an error."""
        size = self.sync()
        self.rename(replace=replace)
        sync_directory(self.final.parent)
        return size

    def discard(self) -> None:
        """Removes the unfinished file; does nothing once it has its final name."""
        if self._descriptor < 0:
            return
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Closes the file and leaves it as it is."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


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
    except BaseException:
        with suppress(OSError):  # the first error is the one that explains
            part.discard()
        raise


def write_file(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Like `write_atomic`, but raises FileError, whose sentence a program can show."""
    with file_errors(path):
        write_atomic(path, data, replace=replace)


def part_of(final: Path) -> Path:
    """The temporary name of an unfinished file."""
    return final.with_name(f".{final.name}{PART_SUFFIX}")


@contextmanager
def abandoned(part: Path) -> Iterator[IO[bytes]]:
    """Opens and locks a temporary file whose writer was killed.

    Raises OSError; BlockingIOError while a process is writing it.
    """
    with open(open_regular(part), "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stream


def remove_stale(parts: Iterable[Path]) -> int:
    """Removes the temporary files that no process is writing; returns their number."""
    removed = 0
    for path in parts:
        try:
            with abandoned(path):
                path.unlink()
                removed += 1
        except OSError:  # it is being written, is no regular file, or this user may not remove it
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
    descriptor = open_soon(directory, os.O_RDONLY | os.O_DIRECTORY)
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
        raise
    except OSError:  # a file system without locks, on which `remove_stale` removes nothing
        pass


def _refuse_special(path: Path) -> None:
    """A rename would replace a device or FIFO by a file: /dev/null, for example."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.ENXIO, "it is not a regular file", str(path))
