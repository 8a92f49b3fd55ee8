"""Tables by hour and day, from tables as cameras leave them."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.capture.tally import TallyFile, TallyRow
from edge.commands.export import export
from edge.export.counts import read_counts
from edge.export.groups import Choice
from edge.runtime.times import NS_PER_S

SUMMER, WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))


def row(when: str, kind: str, name: str, direction: str = "", duration_s: str = "") -> TallyRow:
    return TallyRow(when, kind, name, direction, "person", "", "b-1", duration_s)  # type: ignore[arg-type]


def table(root: Path, day: str, *rows: TallyRow, camera: str = "cam0") -> Path:
    path = root / camera / "counts" / f"{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([TallyRow._fields, *rows])
    return path


def exported(root: Path, *options: str) -> list[list[str]]:
    done = CliRunner().invoke(export, ["counts", "-", "--captures", str(root), *options])
    assert done.exit_code == 0, done.output
    header, *rows = csv.reader(done.stdout.splitlines())
    assert header == ["period", "camera", "kind", "name", "direction", "count", "mean_stay_s"]
    return rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The night in which the clocks of Berlin go back: 02:00 to 03:00 occurs twice."""
    table(
        tmp_path, "2026-10-25",
        row("2026-10-25T02:59:59.999+02:00", "crossing", "gate", "in"),
        row("2026-10-25T02:00:00.000+01:00", "crossing", "gate", "in"),
        row("2026-10-25T02:01:00.000+01:00", "crossing", "gate", "out"),
        row("2026-10-25T02:02:00.000+01:00", "stay", "pond", duration_s="4.0"),
        row("2026-10-25T02:03:00.000+01:00", "stay", "pond", duration_s="7.5"),
        row("2026-10-25T02:04:00.000+01:00", "trigger", "visitor"),
    )  # fmt: skip
    table(tmp_path, "2026-10-26", row("2026-10-26T00:00:00.000+01:00", "crossing", "gate", "in"))
    table(
        tmp_path, "2026-10-25", row("2026-10-25T09:59:00.000+05:30", "crossing", "gate", "in"),
        camera="cam1",
    )  # fmt: skip
    return tmp_path


def test_an_hour_that_occurs_twice_is_two_periods(root: Path) -> None:
    assert exported(root) == [
        ["2026-10-25T02:00+02:00", "cam0", "crossing", "gate", "in", "1", ""],
        ["2026-10-25T02:00+01:00", "cam0", "crossing", "gate", "in", "1", ""],
        ["2026-10-25T02:00+01:00", "cam0", "crossing", "gate", "out", "1", ""],
        ["2026-10-25T02:00+01:00", "cam0", "stay", "pond", "", "2", "5.8"],
        ["2026-10-25T02:00+01:00", "cam0", "trigger", "visitor", "", "1", ""],
        ["2026-10-25T09:00+05:30", "cam1", "crossing", "gate", "in", "1", ""],
        ["2026-10-26T00:00+01:00", "cam0", "crossing", "gate", "in", "1", ""],
    ]


@pytest.fixture
def _auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_auckland")
def test_a_day_is_that_of_the_camera_and_not_of_the_machine_that_exports(root: Path) -> None:
    assert [line[:6] for line in exported(root, "--by", "day", "--camera", "cam0")] == [
        ["2026-10-25", "cam0", "crossing", "gate", "in", "2"],
        ["2026-10-25", "cam0", "crossing", "gate", "out", "1"],
        ["2026-10-25", "cam0", "stay", "pond", "", "2"],
        ["2026-10-25", "cam0", "trigger", "visitor", "", "1"],
        ["2026-10-26", "cam0", "crossing", "gate", "in", "1"],
    ]


def test_a_span_of_time_is_exact(root: Path) -> None:
    since = datetime(2026, 10, 25, 2, 0, tzinfo=WINTER)
    until = datetime(2026, 10, 26, 0, 0, tzinfo=WINTER)
    counts = read_counts(root, Choice(("cam0",), since, until), "day").by_key
    assert {(*key[2:], count.number) for key, count in counts.items()} == {
        ("crossing", "gate", "in", 1), ("crossing", "gate", "out", 1), ("stay", "pond", "", 2),
        ("trigger", "visitor", "", 1),
    }  # fmt: skip


def test_a_table_that_the_daemon_wrote_is_read(tmp_path: Path) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    written = row(now.isoformat(timespec="milliseconds"), "crossing", "gate", "in")
    TallyFile(tmp_path, 0).append("cam0", round(now.timestamp()) * NS_PER_S, written)
    assert exported(tmp_path) == [
        ["2026-11-29T12:00+00:00", "cam0", "crossing", "gate", "in", "1", ""]
    ]


def test_damage_costs_only_the_damaged(root: Path) -> None:
    path = root / "cam0" / "counts" / "2026-10-26.csv"
    good = path.read_bytes()
    for damage in (
        b'2026-10-26T01:00:00+01:00,stay,pond,,"per',
        b"2026-10-26T01:00:00+01:00,stay,pond,,person,,b-1,nan\n",
        b"2026-10-26T25:00:00+01:00,crossing,gate,in,person,,b-1,\n",
        b"2026-10-26T01:00:00,crossing,gate,in,person,,b-1,\n",
        b"\0\xff",
    ):
        path.write_bytes(good + damage + b"\n" + good)
        rows = exported(root, "--since", "2026-10-25T12:00:00", "--camera", "cam0")
        assert [line[2:6] for line in rows] == [["crossing", "gate", "in", "2"]], damage


def test_files_that_are_no_tables_are_left_out_and_reported(root: Path) -> None:
    counts = root / "cam0" / "counts"
    (counts / "2026-10-27.csv").mkdir()
    (counts / "2026-02-30.csv").write_text("")
    (counts / "notes.csv").write_text("2026-10-26T00:00:00+01:00,crossing,gate,in,,,,\n")
    os.mkfifo(counts / "2026-10-28.csv")
    done = CliRunner().invoke(export, ["counts", str(root / "out.csv"), "--captures", str(root)])
    assert done.exit_code == 0, done.output
    assert "out.csv: 7 rows" in done.stdout
    assert "files left out, as they are damaged or can't be read: 2" in done.stderr


def test_a_folder_without_tables_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(export, ["counts", "-", "--captures", str(tmp_path)])
    assert isinstance(done.exception, Exception)
    assert "contains no tables of counts" in str(done.exception)
