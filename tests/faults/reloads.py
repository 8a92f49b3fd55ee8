"""Reloads a real daemon many times, and measures its resident memory.

    python -m tests.faults.reloads [--count 500] [--kind live|restart]

A live reload moves a corner of a zone, which the running pipeline takes up. A restart changes
`source.fps`, for which a new daemon is made within the process.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edge.client import Control, Event, Subscriber
from edge.messages import Health
from edge.runtime.times import NS_PER_MS

KINDS = ("live", "restart")
CONFIG = """
zones = [{{ name = "z", polygon = [[0, 0], [1, 0], [1, {corner}]] }}]
[source]
uri = "synthetic:walk?duration=0&width=640&height=480"
fps = {fps}
[capture]
directory = "{folder}/captures"
pre_roll_bytes = 1  # the memory of the pre-roll would grow during the measurement
min_free_bytes = 0
[bus]
endpoint = "ipc://{folder}/e.ipc"
linger_ms = 0
[health]
interval_s = 0.1
[[triggers]]
name = "person"
labels = ["person"]
zones = ["z"]
cooldown_s = 1
"""
WARM_UP = 10  # reloads before the first reading: caches, allocator arenas, thread stacks
WAIT_S = 60.0
PAUSE_S = 0.1  # the daemon takes 10 commands per second
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Growth:
    """The result of one series. before_bytes: after the warm-up. boot_ids: of all daemons."""

    count: int
    before_bytes: int
    after_bytes: int
    highest_bytes: int
    boot_ids: frozenset[str]
    took_ms: float

    @property
    def grown_bytes(self) -> int:
        return self.after_bytes - self.before_bytes

    def __str__(self) -> str:
        before, after, highest = (
            value / 1e6 for value in (self.before_bytes, self.after_bytes, self.highest_bytes)
        )
        return (
            f"{self.count} reloads of {self.took_ms:.0f} ms: resident memory {before:.1f} -> "
            f"{after:.1f} MB, highest {highest:.1f} MB, {len(self.boot_ids)} boot ids"
        )


class ReloadedDaemon:
    """A daemon in a process of its own on drawn footage; use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._write("live", 0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "run", "--config", str(folder / "edge.toml"),
             "--log-format", "json"],
            stderr=(folder / "log").open("w"), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self._control = Control(f"ipc://{folder}/e.ipc-control", timeout_s=10)
        self._events = Subscriber(f"ipc://{folder}/e.ipc", topics=["health."])
        self._boot_id = self._running("").header.boot_id

    def __enter__(self) -> ReloadedDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._events.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        finally:
            self._process.kill()

    @property
    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE_BYTES

    def reload(self, kind: str, number: int) -> str:
        """Reloads a changed file, and returns the boot id once a daemon runs with it."""
        time.sleep(PAUSE_S)
        self._write(kind, number)
        text = self._control.reload().text
        assert ("starts again" in text) == (kind == "restart"), text
        health = self._running(self._boot_id if kind == "restart" else "")
        assert not health.problems, health.problems
        self._boot_id = health.header.boot_id
        return self._boot_id

    def _write(self, kind: str, number: int) -> None:
        corner = 0.5 + number % 2 / 4 if kind == "live" else 0.5
        fps = 20 + number % 2 if kind == "restart" else 20
        text = CONFIG.format(folder=self._folder, corner=corner, fps=fps)
        (self._folder / "edge.toml").write_text(text)

    def _running(self, boot_id_before: str) -> Health:
        """The next health of a daemon with another boot id that has analysed a frame."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            event = self._events.receive(1)
            health = event.message if isinstance(event, Event) else None
            if not isinstance(health, Health) or health.state == "stopping":
                continue
            if health.header.boot_id != boot_id_before and health.frames:
                return health
        raise AssertionError("the daemon does not run")


def measure(folder: Path, kind: str, count: int, warm_up: int = WARM_UP) -> Growth:
    """Reloads `count` times after a warm-up of `warm_up` times."""
    boot_ids = set()
    with ReloadedDaemon(folder) as daemon:
        for number in range(1, warm_up + 1):
            daemon.reload(kind, number)
        before = highest = daemon.resident_bytes
        start_ns = time.monotonic_ns()
        for number in range(warm_up + 1, warm_up + count + 1):
            boot_ids.add(daemon.reload(kind, number))
            highest = max(highest, daemon.resident_bytes)
        took_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS / count
        return Growth(count, before, daemon.resident_bytes, highest, frozenset(boot_ids), took_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--kind", choices=KINDS, action="append")
    arguments = parser.parse_args()
    for kind in arguments.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{kind}: {measure(Path(folder), kind, arguments.count)}", flush=True)


if __name__ == "__main__":
    main()
