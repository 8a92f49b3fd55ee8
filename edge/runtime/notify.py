"""What systemd is told, and its watchdog fed by."""

from __future__ import annotations

import os
import time

import sdnotify

from edge.daemon.progress import Progress


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
