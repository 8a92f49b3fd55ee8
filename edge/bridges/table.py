"""Messages in an SQLite database, in a file or in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from edge.errors import TemporaryError

MEMORY = ":memory:"


class TableError(TemporaryError):
    """The database can't be read or written: disk full, read-only or failed."""


class DamagedError(TableError):
    """The file is not a database, or its content is damaged."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message. id: rises with time, and is never used twice."""

    id: int
    topic: str
    body: bytes


class Table:
    """Messages, oldest first. Every method but `close` raises TableError. Use it from one thread.

    count: number of messages. bytes: total size of their bodies. last_id: the newest id so far.
    """

    def __init__(self, path: str) -> None:
        with _guard():
            self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare()
        except TableError:
            self.close()
            raise

    def add(self, *messages: tuple[str, bytes]) -> None:
        """Appends topics and bodies in one transaction. They are on the disk when it returns."""
        rows = [(self.last_id + n, *message) for n, message in enumerate(messages, 1)]
        if not rows:
            return
        with self._transaction():
            self._db.executemany("INSERT INTO kept VALUES (?, ?, ?)", rows)
        self.last_id += len(rows)
        self.count += len(rows)
        self.bytes += sum(len(body) for _, body in messages)

    def oldest(self, count: int, without: Collection[int] = ()) -> list[Row]:
        """Up to `count` of the oldest, except those with an id in `without`."""
        with _guard():
            rows = self._db.execute(
                "SELECT id, topic, body FROM kept ORDER BY id LIMIT ?", (count + len(without),)
            )
            return [Row(*row) for row in rows if row[0] not in without][:count]

    def remove(self, *ids: int) -> None:
        """Removes messages by id in one transaction; ignores unknown ids."""
        if not ids:
            return
        sizes = []
        with self._transaction():
            for number in ids:
                sizes += self._db.execute(
                    "DELETE FROM kept WHERE id = ? RETURNING length(body)", (number,)
                ).fetchall()
        self.count -= len(sizes)
        self.bytes -= sum(size for (size,) in sizes)

    def close(self) -> None:
        with suppress(sqlite3.Error):  # nothing is lost: every change was committed
            self._db.close()

    def _prepare(self) -> None:
        with _guard():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # triggers are few: an fsync for each
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, topic TEXT, body BLOB)"
            )
            self._db.text_factory = lambda text: text.decode(errors="replace")
            foreign = self._db.execute(
                "SELECT count(*) FROM kept WHERE typeof(topic) != 'text' OR typeof(body) != 'blob'"
            )
            if foreign.fetchone()[0]:
                raise ValueError("some rows are not messages")
            row = self._db.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(max(id), 0) FROM kept"
            )
            numbers: tuple[int, int, int] = row.fetchone()
        self.count, self.bytes, self.last_id = numbers

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _guard():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


@contextmanager
def _guard() -> Iterator[None]:
    """Turns every failure of SQLite into an error of this module."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TableError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise DamagedError(str(error)) from error
    except sqlite3.Error as error:
        raise TableError(str(error)) from error
    except (ValueError, TypeError, OverflowError) as error:  # values of another program
        raise DamagedError(str(error)) from error
