"""Acts as service manager and subscriber of a daemon with faults in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec

from edge.capture.tally import read_tally
from edge.client import Gap, Subscriber
from edge.messages import Capture, Health, Trigger

ROOT = Path(__file__).resolve().parent.parent.parent
WATCHDOG_S = 4.0
CONFIG = """
[source]
uri = "synthetic:walk?duration=0&width=320&height=240&fps=25&objects=6"
retry_max_s = 2.0
[scheduler]
invocations_per_s = 5
[regions]
pack = false
[capture]
directory = "{folder}/captures"
pre_roll_s = 0.5
post_roll_s = 0.5
max_clip_s = 5
max_bytes = 8000000
min_free_bytes = 0
[[triggers]]
name = "person"
labels = ["person"]
cooldown_s = 0.5
once_per_track = false
[bus]
endpoint = "ipc://{folder}/e.ipc"
[health]
interval_s = 0.2
stall_s = 1.0
hang_s = 3.0
frozen_s = 2.0
picture_s = 2.0
"""


class Host:
    """Starts the daemon, restarts it as systemd does, and receives all its messages."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.config = folder / "edge.toml"
        self.config.write_text(config.format(folder=folder))
        self.watchdog_s = WATCHDOG_S
        self.starts = self.killed_by_watchdog = 0
        self.exit_codes: list[int] = []
        self.healths: dict[str, Health] = {}  # the latest one by boot id
        self.missing = 0
        self.captures = self.triggers = 0
        self.newest: Health | None = None
        self.reported: set[str] = set()  # all problems, stalled stages and picture states so far
        self.rss: dict[str, list[int]] = {}
        self._ending = False
        self._fed_s = 0.0  # when the watchdog was last fed
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self.process = self._start()
        for run in (self._supervise, self._receive_notifications, self._subscribe):
            threading.Thread(target=run, daemon=True).start()

    def inject(self, fault: str) -> None:
        """Sends a line to the daemon's standard input; the line is lost if the daemon has ended."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{fault}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def wait_for(self, condition: Callable[[Health], bool], timeout_s: float = 20) -> bool:
        """Waits for a health message that meets the condition; False after the timeout."""
        self.newest = None
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            newest = self.newest
            if newest is not None and condition(newest):
                return True
            time.sleep(0.02)
        return False

    def wait_for_exits(self, count: int, timeout_s: float = 30) -> bool:
        """Waits until the daemon has ended `count` times in all; False after the timeout."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.exit_codes) < count and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return len(self.exit_codes) >= count

    def works(self, timeout_s: float = 30) -> bool:
        """Waits until new frames are analysed and no stage is stalled; False after the timeout."""
        if not self.wait_for(lambda health: True, timeout_s):
            return False
        first = self.newest
        assert first is not None

        def is_working(health: Health) -> bool:
            same_daemon = health.header.boot_id == first.header.boot_id
            return health.frames > (first.frames if same_daemon else 0) and not health.stalled

        return self.wait_for(is_working, timeout_s)

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 25) -> int:
        """Sends SIGTERM and returns the exit code; kills the daemon after the timeout."""
        self._ending = True
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        time.sleep(0.3)
        return code

    def abandon(self) -> None:
        """Kills the daemon without any check, at the end of a test."""
        self._ending = True
        self.process.kill()
        self.process.wait()

    @property
    def dropped_messages(self) -> int:
        return sum(health.dropped["messages"] for health in self.healths.values())

    def growth_mb(self) -> float | None:
        """Growth of resident memory in the longest run, from its second quarter to its last.

        None if every run was too short to measure.
        """
        rss = max(self.rss.values(), key=len)
        quarter = len(rss) // 4
        if quarter < 25:  # 5 s
            return None
        first, last = rss[quarter : 2 * quarter], rss[-quarter:]
        return (sum(last) - sum(first)) / quarter / 1e6

    def damaged_files(self) -> list[str]:
        """Files with a final name that can't be read to their end."""
        return [str(path) for path in (self.folder / "captures").rglob("*") if not _is_whole(path)]

    def temporary_files(self) -> list[str]:
        return [str(path) for path in (self.folder / "captures").rglob(".*.edge-part")]

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self._fed_s = time.monotonic() + 20  # enough time for a start
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", "run", "--config", str(self.config),
             "--log-format", "journal"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("a"), env=environment, cwd=ROOT,
        )  # fmt: skip

    def _supervise(self) -> None:
        while not self._ending:
            time.sleep(0.05)
            if time.monotonic() - self._fed_s > self.watchdog_s and self.process.poll() is None:
                self.killed_by_watchdog += 1
                self.process.kill()
            if self.process.poll() is not None and not self._ending:
                self.exit_codes.append(self.process.wait())
                time.sleep(0.2)  # RestartSec
                self.process = self._start()

    def _receive_notifications(self) -> None:
        while True:
            lines = self._notified.recv(4096)
            if b"READY=1" in lines or b"WATCHDOG=1" in lines:
                self._fed_s = time.monotonic()

    def _subscribe(self) -> None:
        endpoint = f"ipc://{self.folder}/e.ipc"
        with Subscriber(endpoint, topics=[""], on_gap=self._note_gap) as subscriber:
            while True:
                if (event := subscriber.receive(1)) is not None:
                    self._note(event.message)

    def _note_gap(self, gap: Gap) -> None:
        self.missing += gap.missing

    def _note(self, message: Any) -> None:
        match message:
            case Health():
                boot_id = message.header.boot_id
                self.healths[boot_id] = self.newest = message
                self.rss.setdefault(boot_id, []).append(message.rss_bytes)
                self.reported |= {*message.stalled, *message.problems, message.picture}
            case Trigger():
                self.triggers += 1
            case Capture(failure=""):
                self.captures += 1


def _is_whole(path: Path) -> bool:
    """True also for folders, temporary files, and files that were deleted meanwhile."""
    if path.is_dir() or path.name.startswith("."):
        return True
    try:
        match path.suffix:
            case ".jpg":
                return cv2.imread(str(path)) is not None or not path.exists()
            case ".mp4":
                with av.open(str(path)) as clip:
                    return sum(1 for _ in clip.decode(video=0)) > 0
            case ".csv":
                return any(read_tally(path))
            case _:
                return isinstance(msgspec.json.decode(path.read_bytes()), dict)
    except FileNotFoundError:
        return True
    except (OSError, av.FFmpegError, msgspec.DecodeError):
        return False
