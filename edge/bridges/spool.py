"""Messages on disk until somebody has confirmed them."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge.errors import PermanentError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that waits. Ids rise with time."""

    id: int
    topic: str
    body: bytes


class Spool:
    """First in, first out, at most `max_bytes` of bodies: the oldest go then, and are counted.

    A message is on the disk when `put` returns, and survives the loss of power. A database that is
    damaged is put aside. When the disk fails or is full, messages are kept in memory instead, under
    the same bound. Belongs to one thread.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Raises PermanentError where the folder can't be made."""
        self._max_bytes = max_bytes
        self.dropped = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentError(f"no spool in {path.parent}: {error.strerror}") from error
        try:
            self._open(str(path))
        except sqlite3.OperationalError as error:
            self._fall_back(error)
        except sqlite3.DatabaseError:
            log.warning("%s is damaged; it is kept as %s.damaged", path, path.name)
            path.replace(path.with_name(path.name + ".damaged"))
            self._open(str(path))

    def put(self, topic: str, body: bytes) -> None:
        try:
            self._put(topic, body)
        except sqlite3.DatabaseError as error:
            self._fall_back(error)
            self._put(topic, body)

    def after(self, number: int, count: int) -> list[Kept]:
        """The oldest with an id above `number`, at most `count`."""
        rows = self._db.execute(
            "SELECT id, topic, body FROM kept WHERE id > ? ORDER BY id LIMIT ?", (number, count)
        )
        return [Kept(*row) for row in rows]

    def done(self, number: int) -> None:
        """It is confirmed and goes."""
        row = self._db.execute("DELETE FROM kept WHERE id = ? RETURNING length(body)", (number,))
        self._bytes -= sum(size for (size,) in row)

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM kept").fetchone()[0])

    def close(self) -> None:
        self._db.close()

    def _open(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # triggers are few: each may cost an fsync
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, topic TEXT, body BLOB)"
        )
        row = self._db.execute(
            "SELECT coalesce(sum(length(body)), 0), coalesce(max(id), 0) FROM kept"
        )
        self._bytes, self._last = row.fetchone()

    def _put(self, topic: str, body: bytes) -> None:
        self._last += 1
        self._db.execute("INSERT INTO kept VALUES (?, ?, ?)", (self._last, topic, body))
        self._bytes += len(body)
        while self._bytes > self._max_bytes:
            oldest = self.after(0, 1)
            if not oldest:
                break
            self.done(oldest[0].id)
            self.dropped += 1

    def _fall_back(self, error: sqlite3.Error) -> None:
        log.warning("the spool can't be written, messages are kept in memory only: %s", error)
        last = getattr(self, "_last", 0)
        self._open(":memory:")
        self._last = last
