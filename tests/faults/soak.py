"""`make soak`: many hours of a drawn scene in one, with captures and retention.

The scene is analysed as fast as possible, while the configuration is reloaded and the wall clock
jumps; then memory, open files and every counter are checked.

    python -m tests.faults.soak [--frames 2000000] [--reloads 200] [--jumps 20]

Every reload is live (another cooldown, another corner of the zone): a restart would begin the scene
and the counters again. `make fault` and `make attack` have restarts.

Prints a table in Markdown; the exit code is 1 if any row differs from its expectation.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.client import Subscriber
from edge.messages import Capture, Health, Trigger
from tests.faults.host import ROOT

FPS = 25
PRINT_EVERY = 50_000  # frames
MAX_BYTES = 20_000_000
WARM_UP = 0.1  # share of the run in which buffers and pools reach their size
MAX_GROWTH_BYTES = 5_000_000
DISTURBED = 0.9  # share of the run in which reloads and jumps are spread
JUMP_S = 1.0
HALF_A_DAY_S = 43_200  # a jump is a day
RELOAD_S = 20.0
CONFIG = """
zones = [{{ name = "z", polygon = [[0, 0], [1, 0], [1, 1], [0, {corner}]] }}]
[source]
uri = "synthetic:busy?duration={duration}&width=160&height=120&fps=25&objects=6"
fast = true
luma_width_px = 160
[scheduler]
invocations_per_s = 1
[regions]
pack = false
[capture]
directory = "{folder}/captures"
pre_roll_s = 1
post_roll_s = 1
max_clip_s = 10
max_bytes = {max_bytes}
min_free_bytes = 0
[[triggers]]
name = "person"
labels = ["person"]
zones = ["z"]
cooldown_s = {cooldown_s}
once_per_track = false
[bus]
endpoint = "ipc://{folder}/e.ipc"
high_water_mark = 100000
linger_ms = 10000
[health]
interval_s = 0.1  # reloads and jumps follow its count of frames
"""


@dataclass
class Soak:
    """Records of one run. samples: (frames, resident bytes, open files) of each health message."""

    received: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    boot_ids: set[str] = field(default_factory=set)
    missing: int = 0
    reloads: int = 0
    jumps: int = 0
    last: Health | None = None
    wall_s: float = 0.0
    exit_code: int | None = None
    files: int = 0
    bytes: int = 0


class Disturbances:
    """Reloads by SIGHUP and jumps of the wall clock, spread evenly over the frames.

    reloads: those that the daemon reported as done to its service manager.
    jumps: those that were seen in the times of the health messages.
    """

    def __init__(self, folder: Path, frames: int, reloads: int, jumps: int) -> None:
        self.reloads = self.jumps = 0
        self._folder = folder
        self._reload_at = _spread(frames, reloads)
        self._jump_at = _spread(frames, jumps)
        self._directions = itertools.cycle(("clock-forward", "clock-back"))
        self._jumped = False
        self._jumps_sent = 0
        self._number = 0  # of the configuration
        self._text = CONFIG.format(
            duration=frames / FPS, folder=folder, max_bytes=MAX_BYTES,
            corner="{corner}", cooldown_s="{cooldown_s}",
        )  # fmt: skip
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"{folder}/notify")
        self.manager.settimeout(RELOAD_S)
        self._write(0)

    def follow(self, message: Health, process: subprocess.Popen[str]) -> None:
        """Does what is due after a health message, and waits until each reload is done."""
        assert message.header is not None
        assert process.stdin is not None
        difference_s = abs(message.header.wall_time.timestamp() - time.time())
        self.jumps += difference_s > HALF_A_DAY_S and not self._jumped
        self._jumped = difference_s > HALF_A_DAY_S
        while message.frames >= self._reload_at[0] and message.state == "running":
            self._reload_at.pop(0)
            self._reload(process.pid)
        over = self.jumps == self._jumps_sent and not self._jumped
        if message.frames >= self._jump_at[0] and over:  # two at once would cancel each other
            self._jump_at.pop(0)
            self._jumps_sent += 1
            process.stdin.write(f"{next(self._directions)} {JUMP_S}\n")
            process.stdin.flush()

    def _reload(self, pid: int) -> None:
        self._number += 1
        self._write(self._number)
        os.kill(pid, signal.SIGHUP)
        while b"RELOADING=1" not in self.manager.recv(4096):
            pass
        while b"READY=1" not in (answer := self.manager.recv(4096)):
            pass
        self.reloads += b"is in use" in answer

    def _write(self, number: int) -> None:
        corner, cooldown_s = 1 - number % 100 / 1000, 20 + number % 2
        text = self._text.replace("{corner}", str(corner))
        (self._folder / "edge.toml").write_text(text.replace("{cooldown_s}", str(cooldown_s)))


def _spread(frames: int, count: int) -> list[float]:
    """The frames after which each of `count` is due; at last one that is never due."""
    share = DISTURBED * frames / (count + 1)
    return [share * (number + 1) for number in range(count)] + [float("inf")]


def run(frames: int, reloads: int, jumps: int, folder: Path) -> Soak:
    soak, start_s = Soak(), time.monotonic()
    disturbances = Disturbances(folder, frames, reloads, jumps)
    with (
        Subscriber(
            f"ipc://{folder}/e.ipc",
            topics=["trigger.", "capture.", "health."],
            high_water_mark=100_000,
        ) as subscriber,
        _daemon(folder) as process,
        disturbances.manager,
    ):
        while soak.last is None or soak.last.state != "stopping":
            event = subscriber.receive(2)
            soak.missing = subscriber.gaps.missing
            if event is not None:
                _note(soak, event.message, process.pid)
                if isinstance(event.message, Health):
                    disturbances.follow(event.message, process)
            elif process.poll() is not None:
                break
        soak.exit_code = process.wait()
    soak.reloads, soak.jumps = disturbances.reloads, disturbances.jumps
    soak.wall_s = time.monotonic() - start_s
    kept = [path for path in (folder / "captures").rglob("*") if path.is_file()]
    soak.files, soak.bytes = len(kept), sum(path.stat().st_size for path in kept)
    return soak


@contextmanager
def _daemon(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", "run", "--config",
             str(folder / "edge.toml"), "--log-format", "json"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, cwd=ROOT, text=True,
            env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _note(soak: Soak, message: object, pid: int) -> None:
    match message:
        case Trigger():
            soak.received["triggers"] += 1
        case Capture(failure=""):
            soak.received["captures"] += 1
        case Health(state="stopping"):
            soak.last = message
        case Health():
            soak.last = message
            soak.boot_ids.add(message.header.boot_id if message.header else "")
            open_files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            last_frames = soak.samples[-1][0] if soak.samples else -1
            if message.frames // PRINT_EVERY > last_frames // PRINT_EVERY:
                rss_mb = message.rss_bytes / 1e6
                print(f"{message.frames} frames, {rss_mb:.1f} MB, {open_files} open files",
                      file=sys.stderr, flush=True)  # fmt: skip
            soak.samples.append((message.frames, message.rss_bytes, open_files))


def findings(soak: Soak, frames: int, reloads: int, jumps: int) -> list[tuple[str, str, bool]]:
    """Rows of name, measured value, and whether the value is as expected."""
    assert soak.last is not None, "the daemon published no health message"
    warm = [sample for sample in soak.samples if sample[0] >= WARM_UP * frames]
    tenth = max(1, len(warm) // 10)
    rss = [sample[1] for sample in warm]
    growth = sum(rss[-tenth:]) / tenth - sum(rss[:tenth]) / tenth
    open_files = [sample[2] for sample in warm]
    last, received = soak.last, soak.received
    lost = {name: count for name, count in last.dropped.items() if count}
    return [
        ("frames analysed", f"{last.frames} of {frames}", last.frames == frames),
        ("time", f"{soak.wall_s:.0f} s, {frames / soak.wall_s:.0f} frames/s", True),
        ("reloads, done and wanted", f"{soak.reloads}, {reloads}", soak.reloads == reloads),
        ("jumps of the clock, seen and wanted", f"{soak.jumps}, {jumps}", soak.jumps == jumps),
        ("daemons", f"{len(soak.boot_ids)}", len(soak.boot_ids) == 1),
        ("invocations", f"{last.invocations}", last.invocations > 0),
        ("triggers, counted and received", f"{last.triggers}, {received['triggers']}",
         last.triggers == received["triggers"] > 0),
        ("captures, counted and received", f"{last.captures}, {received['captures']}",
         last.captures == received["captures"] == 2 * last.triggers),
        ("messages missing", f"{soak.missing}", soak.missing == 0),
        ("dropped", msgspec.json.encode(lost).decode(), not lost),
        ("problems", "; ".join(last.problems) or "none", not last.problems),
        ("resident memory after warm-up, growth",
         f"{rss[0] / 1e6:.1f} MB, {growth / 1e6:+.2f} MB", growth < MAX_GROWTH_BYTES),
        ("open files, least and most", f"{min(open_files)}, {max(open_files)}",
         max(open_files) - min(open_files) <= 4),
        ("captures kept", f"{soak.files} files, {soak.bytes / 1e6:.1f} MB of "
         f"{MAX_BYTES / 1e6:.0f} MB", soak.bytes <= MAX_BYTES),
        ("exit code", f"{soak.exit_code}", soak.exit_code == 0),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--jumps", type=int, default=20)
    options = parser.parse_args()
    wanted = options.frames, options.reloads, options.jumps
    with tempfile.TemporaryDirectory(prefix="edge-soak-") as folder:
        rows = findings(run(*wanted, Path(folder)), *wanted)
    print("| value | measured | as expected |\n| --- | --- | --- |")
    for name, measured, good in rows:
        print(f"| {name} | {measured} | {'yes' if good else 'NO'} |")
    sys.exit(not all(good for _, _, good in rows))


if __name__ == "__main__":
    main()
