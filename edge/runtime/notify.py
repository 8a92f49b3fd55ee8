"""systemd's notify protocol: a datagram of KEY=VALUE lines to $NOTIFY_SOCKET (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

from edge.runtime.times import NS_PER_S

RELOAD_NS = 30 * NS_PER_S  # as `health.hang_s`: a camera that opens has given a frame by then
FEEDS_PER_INTERVAL = 4  # of the watchdog in WatchdogSec; sd_watchdog_enabled(3) asks for 2

log = logging.getLogger(__name__)


def notify(*lines: str) -> bool:
    """Sends lines to the service manager; does nothing where there is none.

    It never waits: a manager that is busy, and whose socket is full, is not notified. A failure is
    logged and raises nothing, so that the service goes on. Returns False after a failure.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return True
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    try:
        with socket.socket(socket.AF_UNIX, kind) as unix:
            unix.connect(address)
            unix.send("\n".join(lines).encode())
    except BlockingIOError:
        log.debug("the service manager's socket is full")
        return False
    except OSError as error:
        log.warning("the service manager was not notified: %s", error.strerror or error)
        return False
    return True


class ServiceManager:
    """The states of a `Type=notify-reload` service, and its watchdog.

    Only progress feeds the watchdog: systemd restarts a process that runs but analyses no frames,
    unless it waits for a source that is not there. A change of state that the manager did not
    receive is sent again by the next `status`. Its methods may be called from any thread: a reload
    comes from another one than the supervisor's.
    """

    def __init__(self) -> None:
        interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        self._feed_every_ns = interval_us * 1000 // FEEDS_PER_INTERVAL
        self._fed_ns = 0
        self._frames_fed = 0
        self._reloading_ns: int | None = None  # since when
        self._unsent: list[tuple[str, ...]] = []  # changes of state, at most one of each kind
        self._sending = threading.Lock()  # `notify` never waits, so that it is held for moments

    def ready(self, status: str) -> None:
        self._reloading_ns = None
        self._change("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """Shows a text. Call it regularly: it also ends a reload that waits for a camera."""
        since_ns = self._reloading_ns
        if since_ns is not None and time.monotonic_ns() - since_ns > RELOAD_NS:
            self.ready(f"reloaded, and waiting for frames: {text}")
        elif self._sent_all():
            notify(f"STATUS={text}")

    def reloading(self) -> None:
        """`ready` must follow; systemd pairs the two by the time."""
        self._reloading_ns = time.monotonic_ns()
        self._change("RELOADING=1", f"MONOTONIC_USEC={self._reloading_ns // 1000}")

    def stopping(self) -> None:
        self._change("STOPPING=1")

    def _change(self, *lines: str) -> None:
        """Changes arrive in their order, so that none passes an earlier one that waits."""
        with self._sending:
            self._unsent = [change for change in self._unsent if change[0] != lines[0]]
            self._unsent.append(lines)
        self._sent_all()

    def _sent_all(self) -> bool:
        """Sends the changes that are left; returns whether none is left."""
        with self._sending:
            while self._unsent and notify(*self._unsent[0]):
                del self._unsent[0]
            return not self._unsent

    def feed(self, frames: int, *, waiting: bool = False) -> None:
        """Feeds the watchdog, if it is due and `frames` has grown since the last time.

        frames: number analysed since the start. waiting: no frames can come at present.
        Do not call it while a stage is stalled.
        """
        now_ns = time.monotonic_ns()
        if not self._feed_every_ns or now_ns - self._fed_ns < self._feed_every_ns:
            return
        if (waiting or frames != self._frames_fed) and notify("WATCHDOG=1"):
            self._frames_fed = frames
            self._fed_ns = now_ns
