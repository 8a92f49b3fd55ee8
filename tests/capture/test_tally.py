from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.capture import tally
from edge.capture.tally import TallyFile, TallyRow, read_tally, tally_folder
from edge.errors import CaptureError

DAY = round(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()) * 10**9
ROW = TallyRow("2026-11-25T12:00:00.000+00:00", "crossing", "gate", "in", "person", "", "b007-1")


def rows(root: Path) -> list[TallyRow]:
    (path,) = tally_folder(root, "cam0").iterdir()
    return list(read_tally(path))


def test_rows_are_appended_under_one_header(tmp_path: Path) -> None:
    stay = TallyRow(ROW.time, "stay", "pond", label='a "quoted", label\n', duration_s="3.2")
    for _ in range(2):  # as after a restart
        TallyFile(tmp_path, 0).append("cam0", DAY, ROW)
        TallyFile(tmp_path, 0).append("cam0", DAY, stay)
    (path,) = tally_folder(tmp_path, "cam0").iterdir()
    assert path.name == "2026-11-25.csv"
    assert path.read_text().startswith("time,kind,name,direction,label,group,track,duration_s")
    assert rows(tmp_path) == [ROW, stay, ROW, stay]


@pytest.mark.parametrize(
    "damage", [b"\0\xff\xfe", b"2026,crossing,ga", b'"unclosed', b"a,b\n", b"x" * 200_000]
)
def test_damaged_rows_are_skipped(tmp_path: Path, damage: bytes) -> None:
    TallyFile(tmp_path, 0).append("cam0", DAY, ROW)
    (path,) = tally_folder(tmp_path, "cam0").iterdir()
    path.write_bytes(path.read_bytes() + damage)
    assert rows(tmp_path)[0] == ROW
    assert all(row.kind == "crossing" for row in rows(tmp_path))


@pytest.mark.parametrize(
    "half", [b'2026-11-25T12:00:00,stay,pond,,"per', b"2026-11-25T12", b"\xff"]
)
def test_rows_after_a_half_one_are_read(tmp_path: Path, half: bytes) -> None:
    """A power cut ends a row anywhere, also within a quoted label; the next run appends."""
    TallyFile(tmp_path, 0).append("cam0", DAY, ROW)
    (path,) = tally_folder(tmp_path, "cam0").iterdir()
    path.write_bytes(path.read_bytes() + half)
    TallyFile(tmp_path, 0).append("cam0", DAY, ROW)
    assert rows(tmp_path) == [ROW, ROW]


def test_a_day_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_FILE_BYTES", 500)
    table = TallyFile(tmp_path, 0)
    while sum(path.stat().st_size for path in tmp_path.rglob("*.csv")) < 420:
        table.append("cam0", DAY, ROW)
    with pytest.raises(CaptureError, match="is full"):
        table.append("cam0", DAY, ROW)
    assert len(rows(tmp_path)) > 2


def test_the_oldest_days_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_FILES", 3)
    for day in range(6):
        TallyFile(tmp_path, 0).append("cam0", DAY + day * 86_400 * 10**9, ROW)
    names = sorted(path.stem for path in tally_folder(tmp_path, "cam0").iterdir())
    assert names == ["2026-11-28", "2026-11-29", "2026-11-30"]


def test_a_full_disk_gets_no_rows(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="min_free_bytes"):
        TallyFile(tmp_path, 10**18).append("cam0", DAY, ROW)


def test_a_link_in_the_place_of_a_table_is_not_followed(tmp_path: Path) -> None:
    folder = tally_folder(tmp_path / "captures", "cam0")
    folder.mkdir(parents=True)
    (tmp_path / "other").write_text("kept")
    (folder / "2026-11-25.csv").symlink_to(tmp_path / "other")
    with pytest.raises(CaptureError):
        TallyFile(tmp_path / "captures", 0).append("cam0", DAY, ROW)
    assert (tmp_path / "other").read_text() == "kept"
