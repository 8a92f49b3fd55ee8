"""Messages that are kept until the broker has confirmed them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bridges.spool_file import SpoolFile
from edge.bridges.table import MEMORY, Row, Table, TableError
from edge.errors import PermanentError

RETRY_S: Final = 30.0  # a failing disk must not delay every message by its time-out


@dataclass(frozen=True, slots=True)
class Spooled:
    """A message to send; `number` identifies it until `Spool.done`."""

    number: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """The row of a message that was taken. file: generation of the file; None: in memory."""

    file: int | None
    row_id: int


class Spool:
    """A queue of up to `max_bytes` of bodies; beyond that, the oldest are dropped and counted.

    A message is on the disk when `put` returns, and survives a power failure. While the file can't
    be used, new messages are kept in memory under the same bound, and move to the file when it can
    be used again. Use it from one thread.
    """

    def __init__(self, path: Path, max_bytes: int, retry_s: float = RETRY_S) -> None:
        """Raises PermanentError if the folder can't be made.

        retry_s: time between attempts to use a file that failed.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentError(
                f"no spool in {path.parent}: {error.strerror}; set mqtt.spool"
            ) from error
        self._max_bytes = max_bytes
        self._file = SpoolFile(path, retry_s)
        self._memory = Table(MEMORY)
        self._taken: dict[int, _Place] = {}
        self._numbers = itertools.count(1)
        self.dropped = 0
        self._file.table()

    def __len__(self) -> int:
        """Number of messages not confirmed yet, those in an unusable file included."""
        return self._file.count + self._memory.count

    def put(self, topic: str, body: bytes) -> None:
        """Appends a message."""
        table = self._table()
        if table is not None:
            try:
                table.add((topic, body))
            except TableError as error:
                self._file.failed(error)
            else:
                self._bound_file(table)
                return
        self._memory.add((topic, body))
        self._bound(self._memory)

    def take(self, count: int) -> list[Spooled]:
        """Up to `count` of the oldest messages that can be read and were not taken before."""
        taken = []
        for place, row in self._oldest(count):
            number = next(self._numbers)
            self._taken[number] = place
            taken.append(Spooled(number, row.topic, row.body))
        return taken

    @property
    def has_more(self) -> bool:
        """Whether `take` would return a message."""
        return bool(self._oldest(1))

    def done(self, number: int) -> None:
        """Removes a message that was taken and is confirmed; ignores an unknown number."""
        place = self._taken.pop(number, None)
        if place is None:
            return
        if place.file is None:
            self._memory.remove(place.row_id)
        elif place.file == self._file.generation:
            self._file.confirm(place.row_id)

    def close(self) -> None:
        self._file.close()
        self._memory.close()

    def _table(self) -> Table | None:
        """Moves messages from memory to the file; returns its table, None if it can't be used."""
        table = self._file.table()
        if table is None or not self._memory.count:
            return table
        rows = self._memory.oldest(self._memory.count, self._taken_of(None))
        try:
            table.add(*((row.topic, row.body) for row in rows))
        except TableError as error:
            self._file.failed(error)
        else:
            self._memory.remove(*(row.id for row in rows))
            self._bound_file(table)
        return self._file.table()

    def _oldest(self, count: int) -> list[tuple[_Place, Row]]:
        """Those in the file come first: they are older than those in memory."""
        rows: list[tuple[_Place, Row]] = []
        table = self._table()
        if table is not None:
            file = self._file.generation
            without = self._taken_of(file) | self._file.confirmed
            try:
                rows = [(_Place(file, row.id), row) for row in table.oldest(count, without)]
            except TableError as error:
                self._file.failed(error)
        in_memory = self._memory.oldest(count - len(rows), self._taken_of(None))
        return rows + [(_Place(None, row.id), row) for row in in_memory]

    def _taken_of(self, file: int | None) -> set[int]:
        return {place.row_id for place in self._taken.values() if place.file == file}

    def _bound_file(self, table: Table) -> None:
        try:
            self._bound(table)
        except TableError as error:
            self._file.failed(error)

    def _bound(self, table: Table) -> None:
        """Drops the oldest messages beyond `max_bytes`. Raises TableError."""
        while table.bytes > self._max_bytes and (oldest := table.oldest(1)):
            table.remove(oldest[0].id)
            self.dropped += 1
