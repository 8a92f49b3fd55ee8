"""The spool's database file, which may fail and become usable again."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

from edge.bridges.table import DamagedError, Table, TableError
from edge.runtime.files import is_regular

# A log left behind would be replayed into a new file.
SQLITE_FILES: Final = ("", "-wal", "-shm", "-journal")

log = logging.getLogger(__name__)


class SpoolFile:
    """Opens the file; after a failure, tries again every `retry_s`. A damaged file is replaced.

    count: number of messages in the file, also while it can't be used. generation: changes when the
    file is replaced.
    """

    def __init__(self, path: Path, retry_s: float) -> None:
        self._path = path
        self._retry_s = retry_s
        self._retry_due_s: float | None = None  # None: usable so far
        self._table: Table | None = None
        self._unreachable = 0
        self.confirmed: set[int] = set()  # ids that are still in the file and must not be sent
        self.generation = 0

    @property
    def count(self) -> int:
        count = self._table.count if self._table is not None else self._unreachable
        return max(0, count - len(self.confirmed))

    def table(self) -> Table | None:
        """The open table; None while the file can't be used."""
        if self._table is None and (
            self._retry_due_s is None or time.monotonic() >= self._retry_due_s
        ):
            try:
                self._open()
            except TableError as error:
                self.failed(error)
        return self._table

    def confirm(self, row_id: int) -> None:
        """Removes a message, now or when the file can be used."""
        self.confirmed.add(row_id)
        if (table := self.table()) is not None:
            try:
                self._remove_confirmed(table)
            except TableError as error:
                self.failed(error)

    def failed(self, error: TableError) -> None:
        """Closes the file until the next attempt. Call it when a method of the table has raised."""
        self._close_table()
        if isinstance(error, DamagedError) and self._replaced():
            return
        if self._retry_due_s is None:
            log.warning(
                "the spool %s can't be used, messages are kept in memory: %s", self._path, error
            )
        self._retry_due_s = time.monotonic() + self._retry_s

    def close(self) -> None:
        self._close_table()

    def _open(self) -> None:
        for suffix in SQLITE_FILES:  # SQLite opens them by name, and would follow a link
            path = self._path.with_name(self._path.name + suffix)
            if os.path.lexists(path) and not is_regular(path):
                raise TableError(f"{path.name} is a link or no regular file; remove it")
        table = Table(str(self._path))
        self._unreachable = table.count
        try:
            self._remove_confirmed(table)
        except TableError:
            table.close()
            raise
        self._table = table
        if self._retry_due_s is not None:
            log.info("the spool %s can be used again", self._path)
            self._retry_due_s = None

    def _replaced(self) -> bool:
        """Renames the damaged file and begins a new one; returns False if that fails too."""
        aside = self._path.with_name(self._path.name + ".damaged")
        try:
            for suffix in SQLITE_FILES:
                file = self._path.with_name(self._path.name + suffix)
                if file.exists():
                    file.replace(aside.with_name(aside.name + suffix))
            self.confirmed.clear()
            self.generation += 1
            self._unreachable = 0
            self._open()
        except (OSError, TableError):
            return False
        log.warning("%s was damaged and is renamed to %s; a new one begins", self._path, aside.name)
        return True

    def _remove_confirmed(self, table: Table) -> None:
        table.remove(*self.confirmed)
        self.confirmed.clear()

    def _close_table(self) -> None:
        if self._table is not None:
            self._unreachable = self._table.count
            self._table.close()
            self._table = None
