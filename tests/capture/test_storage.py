from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.capture.sidecar import Sidecar, event_entry, iso_time
from edge.capture.stored.deletion import delete_capture
from edge.capture.stored.marks import Mark
from edge.capture.stored.storage import StorageGuard
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.clock import ClockState, WallClock
from tests.support.captures import START_NS, request

NOW_S = time.time()


class SettledClock(WallClock):
    """The real clock, which a time service is said to have set long ago."""

    def state(self) -> ClockState:
        return "synchronized"


def guard(root: Path, **limits: Any) -> StorageGuard:
    given = {"min_free_bytes": 0, "max_bytes": 0}
    settings = CaptureSettings(directory=str(root), **(given | limits))
    made = StorageGuard(settings, SettledClock())
    made.scan()
    return made


def capture(
    root: Path, stem: str, age_s: float = 0, bytes_: int = 1000, day: str = "2026-01-01"
) -> Path:
    """A group of two files and a sidecar, of this many bytes together."""
    folder = root / "cam0" / day
    folder.mkdir(parents=True, exist_ok=True)
    sidecar = folder / f"{stem}.json"
    event = msgspec.structs.replace(
        event_entry(request(START_NS)), time=iso_time(int((NOW_S - age_s) * 1e9))
    )
    number = 10_000_000 - round(age_s)
    Sidecar(camera="cam0", model="m", events=[event], sequence=number, clock="synchronized").write(
        sidecar
    )
    rest = bytes_ - sidecar.stat().st_size
    (folder / f"{stem}.jpg").write_bytes(b"j" * (rest // 2))
    (folder / f"{stem}.mp4").write_bytes(b"m" * (rest - rest // 2))
    return sidecar


def stems(root: Path) -> set[str]:
    return {path.name.removesuffix(".json") for path in root.rglob("*.json")}


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_an_empty_folder_admits(tmp_path):
    guard(tmp_path / "not-yet").admit(10**6)
    assert (tmp_path / "not-yet").is_dir()


def test_the_oldest_captures_are_deleted_first_and_whole(tmp_path):
    for n, age_s in enumerate([30, 50, 10, 40, 20]):
        capture(tmp_path, f"c{n}", age_s)
    keeper = guard(tmp_path, max_bytes=5000)
    assert keeper.bytes == 5000
    keeper.admit(0)
    assert len(stems(tmp_path)) == 5
    keeper.admit(1001)
    assert stems(tmp_path) == {"c0", "c2", "c4"}
    assert len(files(tmp_path)) == 9
    assert (keeper.bytes, keeper.deleted) == (3000, 2)


def test_recorded_sizes_count_without_another_scan(tmp_path):
    old, new = capture(tmp_path, "old", 50), capture(tmp_path, "new", 40)
    keeper = guard(tmp_path, max_bytes=5000)
    keeper.record(new, 3500)
    assert keeper.bytes == 4500
    keeper.admit(1000)
    assert not old.exists()
    assert new.exists()
    keeper.record(new, 0)
    assert keeper.bytes == 0


def test_files_of_other_programs_stay(tmp_path):
    capture(tmp_path, "ours", 100)
    folder = tmp_path / "cam0" / "2026-01-01"
    foreign = {
        "cam0/2026-01-01/holiday.json": '{"camera": "cam0", "events": []}',
        "cam0/2026-01-01/holiday.jpg": "photograph",
        "cam0/2026-01-01/broken.json": "{",
        "cam0/2026-01-01/broken.mp4": "film",
        "cam0/2026-01-01/lonely.mp4": "no sidecar",
        "cam0/2026-01-01/ours.txt": "a note beside ours",
        "cam0/2026-01-01/ours.jpg.bak": "a copy",
        "cam0/notes.json": "{}",
        "README": "of the folder",
    }
    for name, text in foreign.items():
        (tmp_path / name).write_text(text)
    other = Sidecar(camera="cam0", model="m", events=[], written_by="another-program")
    other.write(folder / "theirs.json")
    shutil.copytree(folder, tmp_path / "cam0" / "album")
    before = files(tmp_path)
    keeper = guard(tmp_path, max_bytes=1000, max_age_days=1e-9)
    keeper.admit(1)
    keeper.expire()
    gone = {f"cam0/2026-01-01/ours.{suffix}" for suffix in ("jpg", "mp4", "json")}
    assert before - files(tmp_path) == gone


def test_captures_older_than_the_limit_are_deleted(tmp_path):
    for n, days in enumerate([0.5, 1.5, 2.5]):
        capture(tmp_path, f"c{n}", days * 86_400)
    guard(tmp_path).expire()
    assert stems(tmp_path) == {"c0", "c1", "c2"}
    guard(tmp_path, max_age_days=2).expire()
    assert stems(tmp_path) == {"c0", "c1"}
    guard(tmp_path, max_age_days=1).expire()
    assert stems(tmp_path) == {"c0"}


def test_free_space_is_kept(tmp_path):
    for n in range(4):
        film = capture(tmp_path, f"c{n}", 10 - n).with_name(f"c{n}.mp4")
        os.truncate(film, 4_000_000_000)  # sparse: large for the count, not for this machine
    free = shutil.disk_usage(tmp_path).free
    keeper = guard(tmp_path, min_free_bytes=free // 2)
    keeper.admit(free - free // 2 - 2_000_000_000)  # fits, with room for what others write
    assert len(stems(tmp_path)) == 4
    keeper.admit(free - free // 2 + 2_000_000_000)
    assert stems(tmp_path) == {"c1", "c2", "c3"}


def test_a_refusal_deletes_nothing(tmp_path):
    for n in range(3):
        capture(tmp_path, f"c{n}", n)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(CaptureError, match=r"no room .* capture\.min_free_bytes keeps"):
        guard(tmp_path, min_free_bytes=free + 10**9).admit(1)
    with pytest.raises(CaptureError, match=r"no room .* capture\.max_bytes allows 0\.0 MB"):
        guard(tmp_path, max_bytes=5000).admit(5001)
    assert stems(tmp_path) == {"c0", "c1", "c2"}


def test_a_capture_that_is_being_written_is_left_alone(tmp_path):
    oldest, newer = capture(tmp_path, "oldest", 99), capture(tmp_path, "newer", 1)
    keeper = guard(tmp_path, max_bytes=2000, max_age_days=1e-9)
    keeper.hold(oldest)
    keeper.admit(1000)
    assert oldest.exists()
    assert not newer.exists()
    with pytest.raises(CaptureError):
        keeper.admit(1001)
    keeper.release(oldest)
    keeper.admit(1001)
    assert not oldest.exists()


def test_a_group_held_twice_stays_held_until_the_outer_release(tmp_path):
    sidecar = capture(tmp_path, "c", 5)
    keeper = guard(tmp_path, max_bytes=1000)
    keeper.hold(sidecar)
    with keeper.holding(sidecar):
        pass
    with pytest.raises(CaptureError):
        keeper.admit(1)


def test_empty_day_folders_are_deleted_and_others_stay(tmp_path):
    capture(tmp_path, "a", 50, day="2026-01-01")
    capture(tmp_path, "b", 40, day="2026-01-02")
    (tmp_path / "cam0" / "2026-01-02" / "note.txt").write_text("keep")
    made = capture(tmp_path, "c", 30, day="2026-01-03")
    being_made = made.with_name("d.json")
    keeper = guard(tmp_path, max_age_days=1e-9)
    keeper.hold(being_made)  # has no file yet
    for _ in range(3):
        keeper.expire()
    assert sorted(p.name for p in (tmp_path / "cam0").iterdir()) == ["2026-01-02", "2026-01-03"]


def test_captures_that_a_person_deleted_do_not_cost_others(tmp_path):
    """The count is an hour old: files are counted again before any is deleted."""
    kept, removed = capture(tmp_path, "kept", 90), capture(tmp_path, "removed", 10)
    keeper = guard(tmp_path, max_bytes=2000)
    for path in removed.parent.glob("removed.*"):
        path.unlink()
    keeper._scanned_s -= 3601
    keeper.admit(1000)
    assert kept.exists()
    assert keeper.bytes == 1000


def test_a_half_deleted_group_is_deleted_completely(tmp_path):
    sidecar = capture(tmp_path, "c", 10)
    sidecar.with_name("c.jpg").unlink()
    keeper = guard(tmp_path, max_bytes=1000)
    assert keeper.bytes < 1000
    keeper.admit(1000)
    assert files(tmp_path) == set()


def test_a_capture_that_cannot_be_deleted_does_not_stop_the_rest(tmp_path):
    stuck, free = capture(tmp_path, "stuck", 99), capture(tmp_path, "free", 10)
    film = stuck.with_name("stuck.mp4")
    film.unlink()
    film.mkdir()  # unlink fails, also for root
    keeper = guard(tmp_path, max_bytes=keeper_bytes(stuck, free))
    keeper.admit(500)
    assert stuck.exists()
    assert not free.exists()


def keeper_bytes(*sidecars: Path) -> int:
    found = (path for sidecar in sidecars for path in sidecar.parent.glob(f"{sidecar.stem}.*"))
    return sum(path.stat().st_size for path in found if path.is_file())


def test_a_folder_that_disappeared_is_made_again(tmp_path):
    root = tmp_path / "captures"
    keeper = guard(root, max_bytes=10_000)
    root.rmdir()
    keeper.admit(1)
    assert root.is_dir()


def test_files_of_a_killed_writer_are_removed_by_the_first_scan_and_no_others(tmp_path):
    folder = capture(tmp_path, "c").parent
    others = [".hidden", "notes.edge-part", ".x.part", "c.jpg", "c.json", "c.mp4"]
    for name in (*others[:3], ".d.mp4.edge-part"):
        (folder / name).write_bytes(b"half")
    guard(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(others)


def test_the_sidecar_is_plain_json(tmp_path):
    sidecar = capture(tmp_path, "c")
    data = json.loads(sidecar.read_text())
    event = data["events"][0]
    assert (data["written_by"], data["schema_version"]) == ("edge-trigger", 1)
    assert event["track"] == {
        "id": 7,
        "label": "person",
        "score": 0.912,
        "box_xyxy_px": [10.0, 20.0, 110.0, 220.0],
        "box_xyxy": [0.1, 0.2, 0.3, 0.4],
    }


def test_captures_with_a_star_are_deleted_last_and_never_by_age(tmp_path):
    day_s = 86_400.0
    oldest, *_ = [capture(tmp_path, f"c{n}", age_s=(9 - n) * day_s) for n in range(4)]
    Mark.STAR.set(tmp_path, oldest, on=True)
    keeper = guard(tmp_path, max_age_days=6.5, max_bytes=4000)
    for _ in range(3):
        keeper.expire()
    assert stems(tmp_path) == {"c0", "c3"}  # those of nine and six days
    keeper = guard(tmp_path, max_bytes=2000)
    keeper.admit(500)
    assert stems(tmp_path) == {"c0"}
    keeper.admit(1500)  # nothing else is left
    assert stems(tmp_path) == set()
    assert files(tmp_path) == set()


def test_a_persons_deletion_is_counted_before_anything_else_is_deleted(tmp_path):
    made = [capture(tmp_path, f"c{n}", age_s=50 - n) for n in range(4)]
    keeper = guard(tmp_path, max_bytes=4000)
    delete_capture(tmp_path, made[2])
    delete_capture(tmp_path, made[3])
    keeper.admit(2000)
    assert stems(tmp_path) == {"c0", "c1"}
    assert (keeper.bytes, keeper.deleted) == (2000, 0)
    delete_capture(tmp_path, made[0])
    keeper.admit(0)
    assert keeper.bytes == 1000
    with pytest.raises(FileNotFoundError):
        delete_capture(tmp_path, made[0])
