"""What the daemon says of itself: counters, the service manager, and sensors of the machine."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import sdnotify

from edge.frame import NS_PER_MS, NS_PER_S


@dataclass(slots=True)
class Progress:
    """Counts since the start, each written by one thread and read by others.

    received: frames that the source gave; frames: those that came through the analysis.
    """

    received: int = 0
    frames: int = 0
    invocations: int = 0
    invoked_ns: int = 0
    triggers: int = 0
    captures: int = 0
    tracks: int = 0
    blobs: int = 0
    changed: float = 0.0
    received_ns: int = field(default_factory=time.monotonic_ns)

    @property
    def inference_ms(self) -> float:
        """Mean time of an invocation."""
        return self.invoked_ns / NS_PER_MS / self.invocations if self.invocations else 0.0


class Rates:
    """Frames and invocations per second between two readings of the same progress."""

    def __init__(self) -> None:
        self._before = (time.monotonic_ns(), 0, 0)
        self.fps = self.invocations_per_s = 0.0

    def read(self, progress: Progress) -> None:
        now_ns = time.monotonic_ns()
        then_ns, frames, invocations = self._before
        elapsed_s = max((now_ns - then_ns) / NS_PER_S, 1e-3)
        self.fps = (progress.frames - frames) / elapsed_s
        self.invocations_per_s = (progress.invocations - invocations) / elapsed_s
        self._before = (now_ns, progress.frames, progress.invocations)


class ServiceManager:
    """systemd's notify protocol; silent where no service manager listens.

    The watchdog is fed by progress alone: a living process whose frames don't come through the
    analysis is not fed, and systemd restarts it.
    """

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        self._feed_every_ns = interval_us * 1000 // 4
        self._fed_ns = 0
        self._frames_fed = 0

    def ready(self, status: str) -> None:
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        self._notifier.notify(f"STATUS={text}")

    def reloading(self) -> None:
        """`ready` must follow; the time is how systemd pairs the two."""
        now_us = time.monotonic_ns() // 1000
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1")

    def feed(self, progress: Progress) -> None:
        """Tells the watchdog of frames analysed since the last time; nothing if there were none.

        Not to be called while any stage is stalled.
        """
        now_ns = time.monotonic_ns()
        if not self._feed_every_ns or now_ns - self._fed_ns < self._feed_every_ns:
            return
        if progress.frames != self._frames_fed:
            self._notifier.notify("WATCHDOG=1")
            self._frames_fed = progress.frames
            self._fed_ns = now_ns


def rss_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process; 0 where the system doesn't tell."""
    try:
        pages = (root / "proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_bytes(folder: Path) -> int | None:
    """Left to this user on the disk that a folder is on; None where there is no such folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
