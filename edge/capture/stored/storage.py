"""Keeps captures within the limits of size, age and free space."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Final

from edge.capture.disk import capturing
from edge.capture.sidecar import Sidecar
from edge.capture.stored.deletion import deletions, unlink_group
from edge.capture.stored.kept import Kept, clean_up, find_captures, kept_of, newest_beside
from edge.capture.stored.marks import Mark, starred_last
from edge.capture.stored.tree import opened
from edge.capture.stored.uploaded import is_uploaded, uploaded_first
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.clock import WALL_CLOCK, WallClock
from edge.runtime.files import explain, make_folder
from edge.runtime.logs import fact
from edge.runtime.machine import free_bytes, free_files

_SCAN_VALID_S: Final = 3600.0  # people delete captures too, but reading all sidecars takes seconds
_S_PER_DAY: Final = 86_400.0
_PASS_SHARE: Final = 0.1  # the largest part of the captures that one pass deletes by age
# New files at a time: still and clip, a temporary sidecar, and the folders of camera and day.
_FREE_FILES: Final = 5
_SHOWN: Final = 3  # damaged sidecars that a warning names

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Excess:
    """The amounts by which limits are exceeded; 0 or less where they are kept.

    stored: bytes above max_bytes. disk: bytes missing for min_free_bytes. files: that the disk has
    no room for.
    """

    stored: int
    disk: int
    files: int

    @property
    def any(self) -> bool:
        return max(self.stored, self.disk, self.files) > 0

    @property
    def reason(self) -> str:
        """The reason for a deletion, in the words of the log."""
        if self.stored > 0:
            return "all together exceeded capture.max_bytes"
        if self.disk > 0:
            return "less than capture.min_free_bytes was free"
        return "the disk had no room for more files"

    def less(self, kept: Kept) -> Excess:
        """The excess after this group was deleted."""
        return Excess(self.stored - kept.bytes, self.disk - kept.bytes, self.files - kept.files)

    def is_met_by(self, groups: Iterable[Kept]) -> bool:
        """Whether deleting all these groups would be enough."""
        return not reduce(Excess.less, groups, self).any


class StorageGuard:
    """Deletes the oldest captures when a limit requires it, and only captures.

    A group of files is a capture by its sidecar: `<stem>.json` written by this software, with
    `<stem>.jpg` and `<stem>.mp4` beside it. All other files are left alone, and count only as space
    that isn't free. A group that is held, as it is being written, is not deleted either.

    Captures are numbered, and the lowest number is the oldest: no state of the wall clock changes
    the order. `max_age_days` is the only limit that needs the time: see `expire`. With
    `keep_until_uploaded`, uploaded captures are deleted first, and only these by age. Captures with
    a star are deleted last, and never by age.

    `scan` reads the folder; after that the sizes are counted. If the count is older than an hour,
    the folder is read again before anything is deleted. Not thread-safe.
    """

    def __init__(self, settings: CaptureSettings, clock: WallClock = WALL_CLOCK) -> None:
        self._settings = settings
        self._clock = clock
        self._root = Path(settings.directory)
        self._kept: dict[Path, Kept] = {}
        self._held: set[Path] = set()
        self._sequence = 0
        self._scanned_s = -float("inf")
        self._deletions = 0  # of people, as far as they are counted
        self.bytes = 0
        self.deleted = 0
        self.unreadable = 0

    def scan(self) -> None:
        """Reads the folder and completes or removes the files of killed writers.

        Raises CaptureError.
        """
        with capturing(self._root, "read"):
            make_folder(self._root)
            self._deletions = deletions(self._root)
            clean_up(self._root)
            found = find_captures(self._root)
        self._kept = found.kept
        self.bytes = sum(kept.bytes for kept in self._kept.values())
        newest = max((kept.order.sequence for kept in self._kept.values()), default=0)
        self._sequence = max(self._sequence, newest)
        self._scanned_s = time.monotonic()
        self.unreadable = len(found.unreadable)
        if found.unreadable:
            log.warning(
                "%d sidecars in %s are damaged or can't be read; exports omit them: %s",
                self.unreadable, self._root,
                ", ".join(str(path.relative_to(self._root)) for path in found.unreadable[:_SHOWN]),
            )  # fmt: skip

    def stamp(self, sidecar: Sidecar, folder: Path) -> None:
        """Gives a new capture its number and the state of the clock.

        folder: of its camera and day. Raises CaptureError.
        """
        if self._scanned_s == -float("inf"):  # the first scan failed: the numbers are unknown
            self.scan()
        self._sequence = max(self._sequence, newest_beside(self._root, folder)) + 1
        sidecar.sequence = self._sequence
        sidecar.clock = self._clock.state()

    def admit(self, bytes_: int) -> None:
        """Makes room for this many bytes and a few files, by deleting the oldest captures.

        Raises CaptureError, and deletes nothing, if deleting all would not be enough.
        """
        self._forget_deleted()
        excess = self._excess(bytes_)
        if excess.any and time.monotonic() - self._scanned_s > _SCAN_VALID_S:
            self.scan()
            excess = self._excess(bytes_)
        deletable = self._deletable() if excess.any else []
        if not excess.is_met_by(kept for _, kept in deletable):
            raise CaptureError(self._refusal(bytes_, excess))
        first = uploaded_first if self._settings.keep_until_uploaded else iter
        for sidecar, kept in starred_last(first(deletable)):
            if not excess.any:
                break
            if self._delete(sidecar, excess.reason):
                excess = excess.less(kept)
        if excess.any:
            raise CaptureError(self._refusal(bytes_, excess))

    def expire(self) -> None:
        """Deletes captures older than `max_age_days`, up to a tenth of all in one call.

        Nothing is deleted until the wall clock has run without a jump for an hour, or for a day if
        no time service sets it. A capture's own time counts only if the clock was as good when it
        was made; another capture is deleted with the next one whose time counts.
        """
        days = self._settings.max_age_days
        if not days or (state := self._clock.state()) == "unknown":
            return
        believed = ("synchronized",) if state == "synchronized" else ("synchronized", "steady")
        oldest_s = self._clock.wall_s() - days * _S_PER_DAY
        expired: list[Path] = []
        is_old = False
        for path, kept in reversed(self._deletable()):
            if kept.clock in believed:
                is_old = kept.time_s < oldest_s
            if is_old and self._may_expire(path):
                expired.append(path)
        at_most = max(1, int(len(self._kept) * _PASS_SHARE))
        for path in expired[::-1][:at_most]:
            self._delete(path, f"it is older than capture.max_age_days, {days:g}")

    def _may_expire(self, sidecar: Path) -> bool:
        waits = self._settings.keep_until_uploaded and not is_uploaded(sidecar)
        return not (waits or Mark.STAR.is_on(sidecar))

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

    def record(self, path: Path, bytes_: int, sidecar: Sidecar | None = None) -> None:
        """Sets the size of a group; 0 removes it from the count.

        path: of the sidecar. sidecar: its content, needed for a group that was not counted yet.
        """
        before = self._kept.pop(path, None)
        self.bytes += bytes_ - (before.bytes if before else 0)
        if bytes_:
            self._kept[path] = kept_of(path, sidecar, bytes_, before)

    def _forget_deleted(self) -> None:
        """Removes from the count what another process has deleted since it was last looked at."""
        if (made := deletions(self._root)) == self._deletions:
            return
        self._deletions = made
        for path in [path for path in self._kept if not os.path.lexists(path)]:
            if path not in self._held:
                self.record(path, 0)

    def _excess(self, bytes_: int) -> Excess:
        """The amounts by which new files exceed the limits."""
        settings = self._settings
        free, files = self._free()
        return Excess(
            stored=self.bytes + bytes_ - settings.max_bytes if settings.max_bytes else 0,
            disk=bytes_ + settings.min_free_bytes - free,
            files=_FREE_FILES - files,
        )

    def _deletable(self) -> list[tuple[Path, Kept]]:
        """From the oldest to the newest."""
        groups = [item for item in self._kept.items() if item[0] not in self._held]
        return sorted(groups, key=lambda item: item[1].order)

    def _free(self) -> tuple[int, int]:
        """Bytes and number of files for which there is room on the disk."""
        with capturing(self._root):
            make_folder(self._root)
        free, files = free_bytes(self._root), free_files(self._root)
        if free is None or files is None:
            raise CaptureError(f"{self._root}: its free space is unknown, as the folder is gone")
        return free, files

    def _delete(self, sidecar: Path, reason: str) -> bool:
        """Deletes the sidecar last, as it identifies the rest of a half-deleted group.

        Returns False if the files can't be deleted; the group is left alone from now on.
        """
        name = sidecar.relative_to(self._root).with_suffix("")
        try:
            self._unlink(sidecar)
        except OSError as error:
            self.hold(sidecar)
            log.warning("capture %s can't be deleted: %s", name, explain(error))
            return False
        log.info("deleted capture %s: %s", name, reason, extra=fact())
        self.record(sidecar, 0)
        self.deleted += 1
        return True

    def _unlink(self, sidecar: Path) -> None:
        """Raises OSError, also if a folder on the way has become a link."""
        try:
            unlink_group(self._root, sidecar)
        except FileNotFoundError:  # a person removed the folder
            return
        if not any(held.parent == sidecar.parent for held in self._held):
            with suppress(OSError), opened(self._root, sidecar.parent.parent) as camera:
                os.rmdir(sidecar.parent.name, dir_fd=camera)  # fails unless it is empty

    def _refusal(self, bytes_: int, excess: Excess) -> str:
        settings = self._settings
        free, _ = self._free()
        if excess.files > 0:
            limit = "the disk has no room for more files, whatever their size (see df -i)"
        elif excess.stored > 0:
            limit = f"capture.max_bytes allows {_megabytes(settings.max_bytes)} in all"
        else:
            limit = (
                f"{_megabytes(free)} are free and capture.min_free_bytes keeps "
                f"{_megabytes(settings.min_free_bytes)} of them"
            )
        return (
            f"no room for a capture of {_megabytes(bytes_)} in {self._root}: {limit}, and the "
            "captures that may be deleted are too small; free some space or change the limit"
        )


def _megabytes(bytes_: int) -> str:
    return f"{bytes_ / 1e6:.1f} MB"
