"""Keeps captures within the limits of size, age and free space."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge.capture.disk import capturing
from edge.capture.naming import DATE_FOLDER, SIDECAR_SUFFIX, SUFFIXES
from edge.capture.sidecar import read_sidecar
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.files import PART_SUFFIX, make_folder, remove_stale
from edge.runtime.machine import free_bytes

_SCAN_VALID_S = 3600.0  # people delete captures too, but reading all sidecars takes seconds
_S_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A group on disk. written_s: Unix time. bytes: of all its files."""

    written_s: float
    bytes: int


class StorageGuard:
    """Deletes the oldest captures when a limit requires it, and only captures.

    A group of files is a capture by its sidecar: `<stem>.json` written by this software, with
    `<stem>.jpg` and `<stem>.mp4` beside it. All other files are left alone, and count only as space
    that isn't free. A group that is held, as it is being written, is not deleted either.

    `scan` reads the folder; after that the sizes are counted. If the count is older than an hour,
    the folder is read again before anything is deleted. Not thread-safe.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self._root = Path(settings.directory)
        self._kept: dict[Path, _Kept] = {}
        self._held: set[Path] = set()
        self._scanned_s = -float("inf")
        self.bytes = 0
        self.deleted = 0

    def scan(self) -> None:
        """Reads the folder and removes the files of killed writers. Raises CaptureError."""
        with capturing(self._root, "read"):
            make_folder(self._root)
            remove_stale(self._root.glob(f"*/*/.*{PART_SUFFIX}"))
            self._kept = dict(_captures(self._root))
        self.bytes = sum(kept.bytes for kept in self._kept.values())
        self._scanned_s = time.monotonic()

    def admit(self, bytes_: int) -> None:
        """Makes room for this many bytes, by deleting the oldest captures.

        Raises CaptureError, and deletes nothing, if deleting all would not be enough.
        """
        self.expire()
        excess = self._excess(bytes_)
        if excess > 0 and time.monotonic() - self._scanned_s > _SCAN_VALID_S:
            self.scan()
            excess = self._excess(bytes_)
        deletable = self._deletable() if excess > 0 else []
        if excess > sum(kept.bytes for _, kept in deletable):
            raise CaptureError(self._refusal(bytes_))
        for sidecar, kept in deletable:
            if excess > 0 and self._delete(sidecar):
                excess -= kept.bytes
        if excess > 0:
            raise CaptureError(self._refusal(bytes_))

    def expire(self) -> None:
        """Deletes captures older than `max_age_days`."""
        if not self._settings.max_age_days:
            return
        oldest_s = time.time() - self._settings.max_age_days * _S_PER_DAY
        for sidecar, kept in self._deletable():
            if kept.written_s >= oldest_s:
                break
            self._delete(sidecar)

    def hold(self, sidecar: Path) -> None:
        """Protects a group of files from being deleted, until `release`."""
        self._held.add(sidecar)

    def release(self, sidecar: Path) -> None:
        self._held.discard(sidecar)

    @contextmanager
    def holding(self, sidecar: Path) -> Iterator[None]:
        """Holds a group within the context; one that was held before stays held."""
        already = sidecar in self._held
        self.hold(sidecar)
        try:
            yield
        finally:
            if not already:
                self.release(sidecar)

    def record(self, sidecar: Path, bytes_: int) -> None:
        """Sets the size of a group; 0 removes it from the count."""
        before = self._kept.pop(sidecar, None)
        self.bytes += bytes_ - (before.bytes if before else 0)
        if bytes_:
            self._kept[sidecar] = _Kept(time.time(), bytes_)

    def _excess(self, bytes_: int) -> int:
        """The number of bytes by which these exceed a limit; 0 or less if they fit."""
        excess = bytes_ + self._settings.min_free_bytes - self._free()
        if self._settings.max_bytes:
            excess = max(excess, self.bytes + bytes_ - self._settings.max_bytes)
        return excess

    def _deletable(self) -> list[tuple[Path, _Kept]]:
        groups = [item for item in self._kept.items() if item[0] not in self._held]
        return sorted(groups, key=lambda item: item[1].written_s)

    def _free(self) -> int:
        with capturing(self._root):
            make_folder(self._root)
        free = free_bytes(self._root)
        if free is None:
            raise CaptureError(f"{self._root}: its free space is unknown, as the folder is gone")
        return free

    def _delete(self, sidecar: Path) -> bool:
        """Deletes the sidecar last, as it identifies the rest of a half-deleted group.

        Returns False if the files can't be deleted; the group is left alone from now on.
        """
        try:
            for path in _group_files(sidecar):
                path.unlink(missing_ok=True)
        except OSError:
            self.hold(sidecar)
            return False
        self.record(sidecar, 0)
        self.deleted += 1
        if not any(held.parent == sidecar.parent for held in self._held):
            with suppress(OSError):  # not empty
                sidecar.parent.rmdir()
        return True

    def _refusal(self, bytes_: int) -> str:
        settings = self._settings
        if settings.max_bytes and self.bytes + bytes_ > settings.max_bytes:
            limit = f"capture.max_bytes allows {_megabytes(settings.max_bytes)} in all"
        else:
            limit = (
                f"{_megabytes(self._free())} are free and capture.min_free_bytes keeps "
                f"{_megabytes(settings.min_free_bytes)} of them"
            )
        return (
            f"no room for a capture of {_megabytes(bytes_)} in {self._root}: {limit}, and the "
            "captures that may be deleted are too small; free some space or change the limit"
        )


def _captures(root: Path) -> Iterator[tuple[Path, _Kept]]:
    for sidecar in root.glob(f"*/*/*{SIDECAR_SUFFIX}"):
        if not DATE_FOLDER.fullmatch(sidecar.parent.name):
            continue
        with suppress(CaptureError, OSError):  # it was deleted, or this user can't read it
            if read_sidecar(sidecar) is not None:
                sizes = [path.stat().st_size for path in _group_files(sidecar) if path.exists()]
                yield sidecar, _Kept(sidecar.stat().st_mtime, sum(sizes))


def _group_files(sidecar: Path) -> list[Path]:
    """Still, clip and sidecar, in the order of deletion."""
    stem = sidecar.name.removesuffix(SIDECAR_SUFFIX)
    return [sidecar.with_name(stem + suffix) for suffix in SUFFIXES]


def _megabytes(bytes_: int) -> str:
    return f"{bytes_ / 1e6:.1f} MB"
