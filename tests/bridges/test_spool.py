"""The spool with real files: bounded, in order, and without loss while the file can't be used."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.bridges import table
from edge.bridges.spool import Spool
from edge.errors import PermanentError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite"


def topics(spool: Spool, count: int = 100) -> list[str]:
    return [message.topic for message in spool.take(count)]


def send_all(spool: Spool) -> list[str]:
    """Takes and confirms all messages that can be read; their topics."""
    messages = spool.take(1000)
    for message in messages:
        spool.done(message.number)
    return [message.topic for message in messages]


class FailingDatabase:
    """The connection to the file; statements of it fail while `error` is set."""

    def __init__(self, database: sqlite3.Connection, failure: Failure) -> None:
        self._database, self._failure = database, failure

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._failure.check(statement)
        return self._database.execute(statement, *values)

    def executemany(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._failure.check(statement)
        return self._database.executemany(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)


class Failure:
    """Makes the file's statements that begin with `statement` fail; in memory, none does."""

    def __init__(self) -> None:
        self.statement: str | None = None
        self.error: sqlite3.Error = sqlite3.OperationalError("disk I/O error")

    def check(self, statement: str) -> None:
        if self.statement is not None and statement.startswith(self.statement):
            raise self.error

    @contextmanager
    def of(self, statement: str) -> Iterator[None]:
        self.statement = statement
        try:
            yield
        finally:
            self.statement = None


@pytest.fixture
def failure(monkeypatch: pytest.MonkeyPatch) -> Failure:
    failure = Failure()
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_failing(path: str, **options: Any) -> object:
        database = connect(path, **options)
        return database if path == table.MEMORY else FailingDatabase(database, failure)

    monkeypatch.setattr(sqlite3, "connect", connect_failing)
    return failure


def test_the_spool_is_bounded_ordered_and_survives_a_restart(path: Path) -> None:
    spool = Spool(path, 10_000)
    for number in range(15):
        spool.put(f"t{number}", b"x" * 1000)
    assert (len(spool), spool.dropped) == (10, 5)
    messages = spool.take(100)
    assert [message.topic for message in messages] == [f"t{number}" for number in range(5, 15)]
    assert not spool.has_more
    spool.done(messages[0].number)
    spool.close()
    again = Spool(path, 10_000)
    assert len(again) == 9
    again.put("new", b"y")
    assert topics(again) == [*(f"t{number}" for number in range(6, 15)), "new"]
    again.close()


def test_a_damaged_spool_is_set_aside(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    spool = Spool(path, 10_000)
    spool.put("t", b"x")
    assert len(spool) == 1
    assert path.with_name("s.sqlite.damaged").read_bytes().startswith(b"no database")
    spool.close()
    assert len(Spool(path, 10_000)) == 1


def test_a_spool_damaged_while_in_use_is_set_aside_and_begun_again(path: Path) -> None:
    spool = Spool(path, 10_000)
    spool.put("lost", b"x" * 8000)
    (taken,) = spool.take(1)
    spool._file._close_table()  # writes the log back into the file
    with path.open("r+b") as file:
        file.write(bytes(4096))
    spool.put("new", b"y")
    spool.done(taken.number)  # its row went with the damaged file; the new one has the same id
    assert len(spool) == 1
    assert topics(spool) == ["new"]
    spool.close()
    assert topics(Spool(path, 10_000)) == ["new"]


def test_a_damaged_file_that_can_not_be_renamed_is_replaced_by_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"no database at all" * 100)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    spool = Spool(path, 10_000)
    spool.put("t", b"x")
    assert send_all(spool) == ["t"]


def test_without_a_file_messages_are_kept_in_memory(path: Path) -> None:
    path.mkdir()
    spool = Spool(path, 10_000)
    for number in range(12):
        spool.put(f"t{number}", b"x" * 1000)
    assert (len(spool), spool.dropped) == (10, 2)
    assert topics(spool) == [f"t{number}" for number in range(2, 12)]


def test_a_folder_that_can_not_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match=r"no spool in .*: Not a directory; set mqtt\.spool"):
        Spool(tmp_path / "file" / "folder" / "s.sqlite", 10_000)


@pytest.mark.parametrize("statement", ["INSERT", "COMMIT", "SELECT id", "DELETE", "BEGIN", ""])
def test_no_failure_of_the_file_loses_a_message_or_raises(
    path: Path, failure: Failure, statement: str
) -> None:
    spool = Spool(path, 10_000, retry_s=0.0)
    spool.put("before", b"x")
    with failure.of(statement):
        for number in range(3):
            spool.put(f"during{number}", b"x")
        assert len(spool) == 4
        sent = send_all(spool)
        assert set(sent) <= {"before", "during0", "during1", "during2"}
    sent += send_all(spool)
    assert sorted(sent) == ["before", "during0", "during1", "during2"]  # each of them once
    assert len(spool) == 0
    spool.close()
    assert len(Spool(path, 10_000)) == 0


def test_messages_in_an_unusable_file_are_counted_and_sent_later(
    path: Path, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spool = Spool(path, 10_000, retry_s=0.2)
    for number in range(5):
        spool.put(f"disk{number}", b"x")
    (confirmed, unconfirmed) = spool.take(2)
    with failure.of(""):
        spool.put("memory0", b"x")
        spool.put("memory1", b"x")
        assert len(spool) == 7
        assert topics(spool, 1) == ["memory0"]
        spool.done(confirmed.number)  # its row can't be removed now
        assert len(spool) == 6
        time.sleep(0.25)
        assert spool.has_more  # tried again, in vain
        assert topics(spool, 0) == []
    time.sleep(0.25)
    assert topics(spool) == ["disk2", "disk3", "disk4", "memory1"]
    assert len(spool) == 6  # none was confirmed
    spool.done(unconfirmed.number)
    spool.close()
    again = Spool(path, 10_000)
    assert topics(again) == ["disk2", "disk3", "disk4", "memory1"]
    again.close()
    messages = [record.message for record in caplog.records]
    assert messages == [
        f"the spool {path} can't be used, messages are kept in memory: disk I/O error",
        f"the spool {path} can be used again",
    ]


def test_a_file_that_becomes_usable_later_joins_what_memory_holds(path: Path) -> None:
    first = Spool(path, 10_000)
    first.put("old", b"x")
    first.close()
    hidden = path.with_name("hidden")
    path.rename(hidden)
    path.mkdir()
    spool = Spool(path, 10_000, retry_s=0.0)
    spool.put("new0", b"x")
    spool.put("new1", b"x")
    (taken,) = spool.take(1)
    assert taken.topic == "new0"
    path.rmdir()
    hidden.rename(path)
    assert topics(spool) == ["old", "new1"]
    spool.done(taken.number)
    assert len(spool) == 2
    spool.close()
    assert topics(Spool(path, 10_000)) == ["old", "new1"]


def test_a_locked_file_is_not_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name, **more: connect(name, timeout=0.1, **more))
    spool = Spool(path, 10_000, retry_s=0.0)
    spool.put("a", b"x")
    other = connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    spool.put("b", b"x")
    assert len(spool) == 2
    other.execute("ROLLBACK")
    other.close()
    assert send_all(spool) == ["a", "b"]


def test_a_pipe_in_place_of_the_file_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    os.mkfifo(path)
    spool = Spool(path, 1000)
    spool.put("t", b"kept in memory")
    assert [message.body for message in spool.take(5)] == [b"kept in memory"]
    spool.close()


@pytest.mark.parametrize(
    "row",
    ["1, x'ff', x'00'", "1, 't', NULL", "1, CAST(x'ff' AS TEXT), x'00'", "1, 5, 6",
     "9223372036854775807, 't', x'00'"],
)  # fmt: skip
def test_rows_of_another_program_are_set_aside(tmp_path: Path, row: str) -> None:
    path = tmp_path / "s.sqlite"
    spool = Spool(path, 1000)
    spool.close()
    with sqlite3.connect(path) as database:
        database.execute(f"INSERT INTO kept VALUES ({row})")
    database.close()
    spool = Spool(path, 1000, retry_s=0.0)
    spool.put("t", b"new")
    assert b"new" in [message.body for message in spool.take(5)]
    spool.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("target", ["elsewhere", "missing"])
def test_a_link_is_not_followed(
    suffix: str, target: str, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"private")
    path.with_name(path.name + suffix).symlink_to(tmp_path / target)
    spool = Spool(path, 1000)
    spool.put("a", b"1")
    assert topics(spool) == ["a"]  # from memory
    spool.close()
    assert (tmp_path / "elsewhere").read_bytes() == b"private"
    assert not (tmp_path / "missing").exists()
    assert "is a link" in caplog.text
