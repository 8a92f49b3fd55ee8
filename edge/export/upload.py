"""Copies finished captures to another place with rclone, and marks those that are confirmed there.

The tables of counts follow; one that has grown since is copied again.

rclone knows S3, SFTP, WebDAV, SMB and many others: https://rclone.org/docs/. Only its commands
`copy` and `check` are used: nothing is deleted, neither here nor there.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge.capture.naming import SIDECAR_SUFFIX
from edge.capture.sidecar import FileEntry, read_sidecar
from edge.capture.stored.kept import Order
from edge.capture.stored.tree import date_folders, names_in
from edge.capture.stored.uploaded import is_uploaded, mark
from edge.capture.tally import SUFFIX as TALLY_SUFFIX
from edge.capture.tally import tally_files
from edge.errors import CaptureError, ConfigError, UploadError
from edge.runtime.files import PART_SUFFIX, explain

# An interrupted upload checks at most this many captures again; with one call of rclone for each, a
# slow connection would spend most of its time on logins.
BATCH: Final = 50
Progress = Callable[[int, int], object]
_SHOWN: Final = 300  # characters of rclone's last message that an error quotes


@dataclass(frozen=True, slots=True)
class Finished:
    """A capture that can be uploaded. media: its still and clip, relative to the root.

    mtime_ns: modification time of the sidecar when it was read.
    """

    order: Order
    sidecar: Path
    media: tuple[str, ...]
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Report:
    """Numbers of captures. unfinished: they are being written, or lack a file that they list."""

    uploaded: int
    unfinished: int


def waiting(root: Path) -> tuple[list[Finished], int]:
    """Finished captures without a mark, oldest first, and the number of unfinished ones.

    Raises CaptureError if the folder can't be read.
    """
    found: list[Finished] = []
    unfinished = 0
    try:
        for folder in date_folders(root):
            names = names_in(folder)
            for name in names:
                if not name.endswith(SIDECAR_SUFFIX) or name.startswith("."):
                    continue
                if is_uploaded(folder / name):
                    continue
                with suppress(CaptureError, OSError):  # damaged, or deleted meanwhile
                    capture = _finished(root, folder / name, names)
                    if isinstance(capture, Finished):
                        found.append(capture)
                    unfinished += capture is None
    except OSError as error:
        raise CaptureError(f"captures in {root} can't be read: {explain(error)}") from error
    return sorted(found, key=lambda capture: capture.order), unfinished


def upload(root: Path, remote: str, progress: Progress = lambda _done, _all: None) -> Report:
    """Copies all that wait to `remote`, and marks each capture once it is confirmed there.

    progress: called with the number of captures that were tried, and of all. Raises ConfigError
    without rclone, CaptureError if the folder can't be read, and UploadError if captures or tables
    remain.
    """
    rclone = _Rclone(root, remote)
    captures, unfinished = waiting(root)
    uploaded = 0
    for start in range(0, len(captures), BATCH):
        progress(start, len(captures))
        batch = captures[start : start + BATCH]
        done = _upload_batch(root, rclone, batch)
        uploaded += done
        if done == 0 and rclone.failure:  # the place can't be reached: the next batch would wait
            break
    if rclone.failure:
        left = len(captures) - uploaded
        raise UploadError(
            f"{left} of {len(captures)} captures are not confirmed at {remote} and will be tried "
            f"again: {rclone.failure}"
        )
    _upload_tables(root, rclone, remote)
    return Report(uploaded, unfinished + len(captures) - uploaded)


def _upload_tables(root: Path, rclone: _Rclone, remote: str) -> None:
    """Copies the tables of counts that are new or have grown. Raises UploadError."""
    for folder in sorted({path.parent for path in tally_files(root)}):
        rclone.copy_tables(folder.relative_to(root))
    if rclone.failure:
        raise UploadError(
            f"tables of counts are not complete at {remote} and will be tried again: "
            f"{rclone.failure}"
        )


def _finished(root: Path, path: Path, names: Sequence[str]) -> Finished | Literal[False] | None:
    """None for an unfinished capture, False for a file of another program.

    Raises CaptureError for a damaged sidecar, and OSError for one that is gone.
    """
    mtime_ns = path.lstat().st_mtime_ns  # before the content: a later change makes it unequal
    sidecar = read_sidecar(path)
    if sidecar is None:
        return False
    parts = any(name.startswith(f".{path.stem}.") and name.endswith(PART_SUFFIX) for name in names)
    files = sidecar.files
    if parts or not files or not all(_is_whole(path.with_name(f.name), f) for f in files):
        return None
    folder = path.parent.relative_to(root)
    order = Order(sidecar.sequence, path.parent.name, path.stem)
    return Finished(order, path, tuple(str(folder / file.name) for file in files), mtime_ns)


def _is_whole(path: Path, entry: FileEntry) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes


def _upload_batch(root: Path, rclone: _Rclone, batch: Sequence[Finished]) -> int:
    """Returns how many captures were confirmed and marked."""
    media = [name for capture in batch for name in capture.media]
    rclone.copy(media)
    there = rclone.confirmed(media)
    whole = {
        str(capture.sidecar.relative_to(root)): capture
        for capture in batch
        if there.issuperset(capture.media)
    }
    if not whole:
        return 0
    # Sidecars follow, so that one at the other place says that its files are there. They are small,
    # and the only files that change: they are always sent, as not every place knows checksums.
    rclone.copy([*whole], "--ignore-times")
    marked = 0
    for name in rclone.confirmed([*whole]) & whole.keys():
        capture = whole[name]
        with suppress(OSError):  # it was deleted meanwhile
            marked += mark(root, capture.sidecar, capture.mtime_ns)
    return marked


@contextmanager
def _list_of(names: Sequence[str]) -> Iterator[str]:
    """The path of a temporary file with a name on each line."""
    with tempfile.NamedTemporaryFile("w", prefix="edge-upload-") as file:
        file.writelines(f"{name}\n" for name in names)
        file.flush()
        yield file.name


class _Rclone:
    """Calls rclone. failure: its last error; empty without one."""

    def __init__(self, root: Path, remote: str) -> None:
        """Raises ConfigError if rclone is not installed."""
        program = shutil.which("rclone")
        if program is None:
            raise ConfigError("edge upload needs rclone: sudo apt install rclone")
        self._program = program
        self._places = [str(root), remote]
        self.failure = ""

    def copy(self, names: Sequence[str], *options: str) -> None:
        """Copies these files, relative to the root."""
        self._run("copy", names, "--no-traverse", *options)

    def copy_tables(self, folder: Path) -> None:
        """Copies what is new or has changed in a folder of tables, which may grow meanwhile."""
        places = [str(Path(self._places[0], folder)), _below(self._places[1], folder)]
        options = ["--include", f"/*{TALLY_SUFFIX}", "--local-no-check-updated"]
        self._call("copy", options, places)

    def confirmed(self, names: Sequence[str]) -> set[str]:
        """The files that are there with the same size, and checksum if the place knows it."""
        done = self._run("check", names, "--one-way", "--combined", "-")
        return {line[2:] for line in done.stdout.splitlines() if line.startswith("= ")}

    def _run(
        self, command: str, names: Sequence[str], *options: str
    ) -> subprocess.CompletedProcess[str]:
        with _list_of(names) as listed:
            return self._call(command, [*options, "--files-from-raw", listed], self._places)

    def _call(
        self, command: str, options: Sequence[str], places: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603 - no shell
            [self._program, command, *options, "--log-level", "ERROR", "--", *places],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            last = lines[-1] if lines else f"exit code {done.returncode}"
            self.failure = f"rclone {command}: {last[:_SHOWN]}"
        return done


def _below(remote: str, folder: Path) -> str:
    """A folder at the other place; rclone's `name:` alone is that place's first folder."""
    return f"{remote}{folder}" if remote.endswith((":", "/")) else f"{remote}/{folder}"
