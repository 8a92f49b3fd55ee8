"""The captures that the live view lists and serves, and no other file."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.sidecar import EventEntry, FileEntry, Sidecar, TrackEntry
from edge.capture.sidecar import read_sidecar as read
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


def put_at(root: Path, time: datetime, number: int) -> str:
    """A capture at a time, under the local name that the daemon gives it there. Returns its id."""
    folder = root / "gate" / f"{time:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{time:%H%M%S}.000_visitor_{number}"
    text = time.isoformat(timespec="milliseconds")
    event = EventEntry(event_id=stem, rule="visitor", time=text, latency_ms=1.0, track=TRACK)
    data = msgspec.json.encode(Sidecar(camera="gate", model="m", events=[event]))
    (folder / f"{stem}.json").write_bytes(data)
    return f"{folder.name}/{stem}"


def pages(captures: Captures, count: int, before: str = "") -> list[str]:
    ids: list[str] = []
    while page := captures.newest(count, before):
        ids += [entry.id for entry in page]
        before = page[-1].id
    return ids


def test_the_hour_that_occurs_twice_is_in_the_order_of_utc(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    ids = [
        put_at(tmp_path, (start + timedelta(minutes=10 * step)).astimezone(berlin), step)
        for step in range(40)
    ]
    names = [id_.partition("_")[0] for id_ in ids]
    assert len(set(names)) < len(names)  # the hour is there twice
    captures = Captures(tmp_path, "gate")
    for count in (1, 7, 100):
        assert pages(captures, count) == ids[::-1]


@given(
    steps=st.lists(st.integers(-3 * 86400, 86400), min_size=1, max_size=25),
    zones=st.lists(st.integers(-12 * 4, 14 * 4), min_size=25, max_size=25),
    count=st.integers(1, 9),
)
@settings(max_examples=30, deadline=None)
def test_every_capture_is_listed_once_by_utc_however_clocks_and_zones_jump(
    steps: list[int], zones: list[int], count: int
) -> None:
    time = datetime(2026, 3, 1, tzinfo=UTC)
    made: list[tuple[datetime, str]] = []
    with tempfile.TemporaryDirectory() as name:
        for number, (step, quarters) in enumerate(zip(steps, zones, strict=False)):
            time += timedelta(seconds=step)
            zone = timezone(timedelta(minutes=15 * quarters))
            made.append((time, put_at(Path(name), time.astimezone(zone), number)))
        expected = [id_ for _, id_ in sorted(made, reverse=True)]
        assert pages(Captures(Path(name), "gate"), count) == expected


def test_pages_are_stable_while_captures_come_and_go(tmp_path: Path) -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC).astimezone()
    ids = [put_at(tmp_path, start + timedelta(seconds=step), step) for step in range(20)]
    captures = Captures(tmp_path, "gate")
    first = captures.newest(5)
    put_at(tmp_path, start + timedelta(hours=1), 99)
    last = first[-1].id
    assert pages(captures, 5, last) == ids[14::-1]
    (tmp_path / "gate" / f"{last}.json").unlink()  # retention deletes the last of the page
    assert pages(captures, 5, last) == ids[14::-1]
    assert captures.newest(5, "nonsense") == captures.newest(5, "2026-02-30/x") == []


def test_files_that_are_no_sidecars_are_skipped_and_counted(tmp_path: Path) -> None:
    good = put_at(tmp_path, datetime(2026, 5, 1, 12, tzinfo=UTC), 1)
    folder = tmp_path / "gate" / "2026-05-01"
    put_at(tmp_path, datetime(2026, 5, 1, 13, tzinfo=UTC), 2)
    bad_time = next(folder.glob("130000*"))
    bad_time.write_text(bad_time.read_text().replace('"time":"2026', '"time":"soon'))
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    (folder / "binary.json").write_bytes(bytes(range(256)))
    with (folder / "huge.json").open("wb") as huge:
        huge.truncate(1 << 40)
    (tmp_path / "gate" / "2026-02-30").mkdir()
    captures = Captures(tmp_path, "gate")
    assert [entry.id for entry in captures.newest(10)] == [good]
    assert captures.unreadable == 6


def test_few_of_ten_thousand_captures_are_read_for_a_page(tmp_path: Path) -> None:
    start = datetime(2026, 5, 1, 1, tzinfo=UTC)
    for step in range(10_000):  # one a minute, for a week
        put_at(tmp_path, start + timedelta(seconds=60 * step), step)
    captures = Captures(tmp_path, "gate")
    reads: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.web.timeline.read_sidecar", lambda p: (reads.append(p), read(p))[1])
        newest = captures.newest(12)
        assert len(reads) <= 2 * 24 * 60  # those of two days
        reads.clear()
        put_at(tmp_path, start + timedelta(days=6, hours=23), 10_000)
        assert captures.newest(12)[1:] == newest[:11]
    assert len(reads) <= 1 + 12
