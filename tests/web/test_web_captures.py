"""The captures that the live view lists and serves, and no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.sidecar import EventEntry, FileEntry, Sidecar, TrackEntry
from edge.web.captures import Captures

TRACK = TrackEntry(id=7, label="person", score=0.9, box_xyxy_px=(0, 0, 1, 1), box_xyxy=(0, 0, 1, 1))


def put(root: Path, date: str, stem: str, *suffixes: str, track: TrackEntry | None = TRACK) -> None:
    folder = root / "gate" / date
    folder.mkdir(parents=True, exist_ok=True)
    time = f"{date}T{stem[:2]}:{stem[2:4]}:{stem[4:6]}.000+01:00"
    kinds = {".jpg": "still", ".mp4": "clip"}
    files = [
        FileEntry(
            name=stem + suffix, kind=kinds[suffix], bytes=3, width=4, height=3, time=time,  # type: ignore[arg-type]
            duration_s=8.0 if suffix == ".mp4" else None,
        )
        for suffix in suffixes
    ]  # fmt: skip
    for suffix in suffixes:
        (folder / (stem + suffix)).write_bytes(b"...")
    event = EventEntry(event_id=stem, rule="visitor", time=time, latency_ms=1.0, track=track)
    sidecar = Sidecar(camera="gate", model="m", events=[event], files=files)
    sidecar.write(folder / f"{stem}.json")


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    put(tmp_path, "2026-01-01", "235959.000_visitor_1", ".jpg", ".mp4")
    put(tmp_path, "2026-01-02", "000001.000_visitor_2", ".jpg")
    put(tmp_path, "2026-01-02", "120000.000_command", ".jpg", track=None)
    put(tmp_path, "2026-01-02", "130000.000_visitor_3", ".mp4")
    folder = tmp_path / "gate" / "2026-01-02"
    (folder / "note.json").write_text("{}")
    (folder / "broken.json").write_text("{")
    (tmp_path / "gate" / "notes").mkdir()
    (tmp_path / "gate" / "notes" / "a.jpg").write_bytes(b"...")
    return Captures(tmp_path, "gate")


def test_the_newest_come_first_and_other_files_are_left_out(captures: Captures) -> None:
    newest = captures.newest(10)
    assert [entry.id for entry in newest] == [
        "2026-01-02/130000.000_visitor_3",
        "2026-01-02/120000.000_command",
        "2026-01-02/000001.000_visitor_2",
        "2026-01-01/235959.000_visitor_1",
    ]
    clip, still, _, both = newest
    assert (clip.still, clip.clip) == (None, "2026-01-02/130000.000_visitor_3.mp4")
    assert (still.label, still.score, still.clip) == (None, None, None)
    assert (both.label, both.score, both.rule, both.duration_s) == ("person", 0.9, "visitor", 8.0)
    assert both.still == "2026-01-01/235959.000_visitor_1.jpg"


def test_older_captures_come_page_by_page(captures: Captures) -> None:
    first = captures.newest(3)
    assert [s.id for s in captures.newest(3, first[-1].id)] == ["2026-01-01/235959.000_visitor_1"]
    assert captures.newest(3, "2026-01-01/235959.000_visitor_1") == []
    assert len(captures.newest(10, "2026-01-02/120000.000_command")) == 2


def test_a_deleted_file_is_not_listed(captures: Captures, tmp_path: Path) -> None:
    (tmp_path / "gate" / "2026-01-01" / "235959.000_visitor_1.jpg").unlink()
    last = captures.newest(10)[-1]
    assert (last.still, last.clip is not None) == (None, True)


def test_a_folder_without_captures_is_empty(tmp_path: Path) -> None:
    assert Captures(tmp_path / "nowhere", "gate").newest(10) == []


def test_stills_and_clips_are_found_by_name(captures: Captures) -> None:
    still = captures.file("2026-01-01", "235959.000_visitor_1.jpg")
    clip = captures.file("2026-01-02", "130000.000_visitor_3.mp4")
    assert still is not None
    assert clip is not None
    assert (still[1], clip[1]) == ("image/jpeg", "video/mp4")
    assert still[0].read_bytes() == b"..."


@pytest.mark.parametrize(
    ("date", "name"),
    [
        ("2026-01-01", "235959.000_visitor_1.json"),
        ("2026-01-01", "nothing.jpg"),
        ("2026-01-03", "235959.000_visitor_1.jpg"),
        ("notes", "a.jpg"),
        ("..", "secret.jpg"),
        ("2026-01-01", "../../../secret.jpg"),
        ("2026-01-01", "../secret.jpg"),
        ("2026-01-01/..", "secret.jpg"),
        ("2026-01-01", "link.jpg"),
        ("2026-01-01", ".235959.000_visitor_9.jpg.edge-part"),
        ("2026-01-01", ".hidden.jpg"),
        ("2026-01-01", "folder.jpg"),
        ("2026-01-01", "nul\0.jpg"),
        ("2026-01-01", "x" * 300 + ".jpg"),
        ("2026-01-01", ""),
        ("2026-01-01", ".."),
        ("2026-01-01\n", "235959.000_visitor_1.jpg"),
        ("linked", "secret.jpg"),
    ],
)
def test_no_other_file_is_served(captures: Captures, tmp_path: Path, date: str, name: str) -> None:
    camera = tmp_path / "gate"
    for place in (tmp_path, camera, tmp_path.parent):
        (place / "secret.jpg").write_bytes(b"secret")
    (camera / "2026-01-01" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (camera / "2026-01-01" / ".hidden.jpg").write_bytes(b"...")
    (camera / "2026-01-01" / "folder.jpg").mkdir()
    (camera / "2026-01-09").symlink_to(tmp_path)
    assert captures.file(date, name) is None
    assert captures.file("2026-01-09", "secret.jpg") is None
