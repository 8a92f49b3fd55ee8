"""No state of the wall clock makes a new capture go before an old one, or all go at once."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.capture.sidecar import MAX_SEQUENCE, Sidecar, event_entry, iso_time
from edge.capture.stored.kept import find_captures
from edge.capture.stored.storage import StorageGuard
from edge.config.schema import CaptureSettings
from edge.runtime.clock import FIRST_S, SETTLED_S, STEADY_S, WallClock
from tests.support.captures import START_NS, request

ROOT = Path(__file__).parents[2]
DAY_S = 86_400.0


class Camera:
    """A guard with a clock that tests move, and captures of 1000 bytes."""

    def __init__(self, root: Path, *, synchronized: bool = True, **limits: Any) -> None:
        self.root = root
        self.wall_s = FIRST_S + 300 * DAY_S
        self.up_s = 5.0
        self.synchronized = synchronized
        self.clock = WallClock(lambda: self.wall_s, lambda: self.up_s, lambda: self.synchronized)
        given: dict[str, Any] = {"min_free_bytes": 0, "max_bytes": 0}
        self.settings = CaptureSettings(directory=str(root), **(given | limits))
        self.made = 0
        self.name = "cam0"
        self.restart()

    def restart(self) -> None:
        self.guard = StorageGuard(self.settings, self.clock)
        self.guard.scan()

    def run(self, seconds: float) -> None:
        self.wall_s += seconds
        self.up_s += seconds
        self.clock.state()

    def capture(self, number: int = 1) -> None:
        """Captures `c0`, `c1` … in a folder of the wall clock's day, a minute apart."""
        for _ in range(number):
            self.guard.admit(1000)
            event = event_entry(request(START_NS))
            event = msgspec.structs.replace(event, time=iso_time(int(self.wall_s * 1e9)))
            sidecar = Sidecar(camera="cam0", model="m", events=[event])
            day = time.strftime("%Y-%m-%d", time.gmtime(self.wall_s))
            path = self.root / self.name / day / f"c{self.made}.json"
            self.guard.stamp(sidecar, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            size = sidecar.write(path)
            path.with_suffix(".jpg").write_bytes(bytes(1000 - size))
            self.guard.record(path, 1000, sidecar)
            self.made += 1
            self.run(60)

    def kept(self) -> list[int]:
        return sorted(int(path.stem[1:]) for path in self.root.rglob("*.json"))


@pytest.mark.parametrize("offset_s", [-(FIRST_S + 300 * DAY_S) + 60, 400 * DAY_S, -3 * DAY_S])
@pytest.mark.parametrize("restarts", [False, True])
def test_the_order_is_that_of_the_captures_at_any_clock(
    tmp_path: Path, offset_s: float, restarts: bool
) -> None:
    camera = Camera(tmp_path, max_bytes=10_000)
    camera.capture(10)
    camera.wall_s += offset_s
    if restarts:
        camera.restart()
    camera.capture(4)
    assert camera.kept() == list(range(4, 14))
    camera.wall_s -= offset_s
    if restarts:
        camera.restart()
    camera.capture(9)
    assert camera.kept() == list(range(13, 23))


def test_free_space_is_kept_at_any_clock(tmp_path: Path) -> None:
    camera = Camera(tmp_path)
    camera.capture(3)
    camera.wall_s = 60.0
    camera.capture(1)
    free = shutil.disk_usage(tmp_path).free
    for path in tmp_path.rglob("*.jpg"):
        os.truncate(path, 4_000_000_000)  # sparse: large for the count, not for this machine
    camera.settings = CaptureSettings(
        directory=str(tmp_path), min_free_bytes=free // 2, max_bytes=0
    )
    camera.restart()
    camera.guard.admit(free - free // 2 + 2_000_000_000)
    assert camera.kept() == [1, 2, 3]


def test_a_clock_far_ahead_deletes_nothing_by_age_until_it_has_lasted(tmp_path: Path) -> None:
    camera = Camera(tmp_path, max_age_days=30)
    camera.run(SETTLED_S)
    camera.capture(50)
    camera.wall_s += 400 * DAY_S
    for _ in range(6):
        camera.guard.expire()
        camera.run(SETTLED_S / 6 - 1)
    camera.restart()
    camera.guard.expire()
    assert len(camera.kept()) == 50
    camera.run(60)
    camera.guard.expire()
    assert camera.kept() == list(range(5, 50)), "a tenth, the oldest ones"
    camera.guard.expire()
    assert len(camera.kept()) == 41


@pytest.mark.parametrize("days_behind", [20, 10_000])
def test_a_clock_that_is_set_after_the_boot_deletes_no_new_capture(
    tmp_path: Path, days_behind: float
) -> None:
    """It starts at the time of the last shutdown or in 1970, and the network comes later."""
    camera = Camera(tmp_path, synchronized=False, max_age_days=7)
    camera.wall_s -= days_behind * DAY_S
    camera.restart()
    camera.capture(20)
    camera.wall_s += days_behind * DAY_S
    camera.synchronized = True
    for _ in range(2 * 144):  # two days
        camera.guard.expire()
        camera.run(600)
    assert len(camera.kept()) == 20
    camera.capture(1)  # with a time that can be believed
    for _ in range(9 * 144):
        camera.guard.expire()
        camera.run(600)
    assert camera.kept() == [], "7 days after the first capture that has a time"


def test_without_a_time_service_a_steady_clock_counts(tmp_path: Path) -> None:
    camera = Camera(tmp_path, synchronized=False, max_age_days=7)
    camera.run(STEADY_S)
    camera.capture(20)
    camera.run(6 * DAY_S)
    camera.guard.expire()
    assert len(camera.kept()) == 20
    camera.run(2 * DAY_S)
    camera.guard.expire()
    assert len(camera.kept()) == 18
    camera.synchronized = True  # a service corrects it: times before were never checked
    camera.guard.expire()
    assert len(camera.kept()) == 18


def test_every_deletion_is_logged_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera = Camera(tmp_path, max_age_days=7, max_bytes=3000)
    camera.run(SETTLED_S)
    camera.capture(4)
    camera.run(8 * DAY_S)
    camera.guard.expire()
    texts = [text for text in caplog.messages if text.startswith("deleted")]
    assert len(texts) == 2
    assert texts[0].endswith("/c0: all together exceeded capture.max_bytes")
    assert texts[1].endswith("/c1: it is older than capture.max_age_days, 7")


def test_captures_without_a_number_are_older_and_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    camera = Camera(tmp_path)
    camera.capture(3)
    for stem, day in (("c102", "2026-02-02"), ("c101", "2026-02-01"), ("c100", "2026-02-01")):
        event = event_entry(request(START_NS))
        path = tmp_path / "cam0" / day / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        Sidecar(camera="cam0", model="m", events=[event]).write(path)
    kept = find_captures(tmp_path).kept
    order = [path.stem for path in sorted(kept, key=lambda path: kept[path].order)]
    assert order == ["c100", "c101", "c102", "c0", "c1", "c2"]


def test_a_damaged_sidecar_neither_hides_its_files_nor_changes_the_count(tmp_path: Path) -> None:
    camera = Camera(tmp_path, max_bytes=5000)
    camera.capture(5)
    folder = next(tmp_path.glob("*/*"))
    for old, new in (("c2", "101010.000_person_1"), ("c3", "101010.000_person_2")):
        for path in folder.glob(f"{old}.*"):
            path.rename(path.with_stem(new))
    (folder / "101010.000_person_1.json").write_bytes(b"")
    (folder / "c4.json").write_bytes(b"")  # not a name that captures have
    forged = next(folder.glob("c1.json"))
    text = forged.read_text().replace('"sequence": 2', f'"sequence": {MAX_SEQUENCE + 1}')
    forged.write_text(text)
    camera.restart()
    assert camera.guard.unreadable == 2
    assert camera.guard._sequence < 10
    camera.guard.admit(4500)
    assert [path.name for path in folder.glob("*.json")] == ["c4.json"]
    assert [path.name for path in folder.glob("*.jpg")] == ["c4.jpg"]


def test_daemons_that_share_a_folder_go_on_with_the_count_of_the_others(tmp_path: Path) -> None:
    busy, quiet = Camera(tmp_path), Camera(tmp_path)
    quiet.name = "cam1"
    for _ in range(3):
        busy.capture(3)
        quiet.wall_s = busy.wall_s
        quiet.capture(1)
    kept = find_captures(tmp_path).kept
    numbers = [kept[path].order.sequence for path in sorted(kept) if path.parts[-3] == "cam1"]
    assert numbers == [4, 8, 12]


CHILD = """
import sys, time
from pathlib import Path
from edge.capture.metadata.origin import Origin
from edge.capture.stored.storage import StorageGuard
from edge.capture.writer import CaptureWriter
from edge.config.schema import CaptureSettings
from tests.support.captures import START_NS, frame, request
import dataclasses
root, offset = Path(sys.argv[1]), Path(sys.argv[2])
def writer(**limits):
    settings = CaptureSettings(directory=str(root), **({"min_free_bytes": 0} | limits))
    made = CaptureWriter(settings, Origin("m"), lambda result: None, print)
    made.guard.scan()
    return made
def capture(made, number):
    for n in range(number):
        wall_ns = time.time_ns()
        asked = dataclasses.replace(request(START_NS, f"e{n}", actions=("still",)), wall_ns=wall_ns)
        made.still(made.group(asked), dataclasses.replace(frame(0), wall_ns=wall_ns))
made = writer(max_age_days=1)
capture(made, 10)
real = time.time()
for seconds in (-real + 100, 400 * 86400, -86400, 0):
    offset.write_text(str(int(seconds)))
    assert abs(time.time() - real - seconds) < 60
    for restarts in (False, True):
        made = writer(max_age_days=1) if restarts else made
        capture(made, 5)
        made.guard.expire()
        assert made.guard.deleted == 0
made = writer(max_bytes=made.guard.bytes)
print(len(made.guard._kept), made.guard._sequence)
offset.write_text(str(int(-real + 100)))
capture(made, 5)
left = sorted(kept.order.sequence for kept in made.guard._kept.values())
print(left[0] > 3, left[-5:])
"""


def test_a_real_process_under_a_clock_that_jumps(tmp_path: Path, shared_cases: Path) -> None:
    library = tmp_path / "clock.so"
    source = shared_cases / "clock.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    offset = tmp_path / "offset"
    offset.write_text("0")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "captures", offset],
        env=os.environ | {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset)},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["50 50", "True [51, 52, 53, 54, 55]"], done.stderr
