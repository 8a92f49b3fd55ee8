"""A real daemon with faults in it, under limits of the system that a test sets and changes."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.client import Subscriber
from edge.messages import AnyMessage, Capture, Health
from tests.faults.host import CONFIG, ROOT

SOON_S = 40.0


@dataclass
class Limited:
    """The daemon's process and the messages received so far."""

    process: subprocess.Popen[bytes]
    subscriber: Subscriber
    log: Path
    captures: Path
    messages: list[AnyMessage] = field(default_factory=list)

    def until(
        self, condition: Callable[[AnyMessage], bool], timeout_s: float = SOON_S
    ) -> AnyMessage:
        """The next message that meets a condition; fails if the daemon ends before."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            event = self.subscriber.receive(0.5)
            if event is not None:
                self.messages.append(event.message)
                if condition(event.message):
                    return event.message
        raise AssertionError(f"not within {timeout_s:.0f} s: {self.log.read_text()[-3000:]}")

    def until_capture(self, kind: str = "clip") -> Path:
        """Waits for the next capture without a failure, and returns its file."""
        found = self.until(lambda m: isinstance(m, Capture) and not m.failure and m.capture == kind)
        assert isinstance(found, Capture)
        return Path(found.path)

    def until_open_clip(self) -> None:
        """Waits until a clip is being written."""
        self.until(lambda _: any(self.captures.rglob(".*.mp4.edge-part")))

    def limit(self, number: int, soft: int) -> tuple[int, int]:
        """Changes a soft limit of the running process; returns the limits before."""
        before = resource.prlimit(self.process.pid, number)
        resource.prlimit(self.process.pid, number, (soft, before[1]))
        return before

    @property
    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    @property
    def health(self) -> Health:
        found = self.until(lambda message: isinstance(message, Health))
        assert isinstance(found, Health)
        return found


@contextlib.contextmanager
def limited(
    folder: Path,
    subscriber: Callable[[], Subscriber],
    config: str = CONFIG,
    files: int | None = None,
) -> Iterator[Limited]:
    """Runs the daemon; it must end cleanly. files: soft and hard limit of open files."""

    def set_limits() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    (folder / "edge.toml").write_text(config.format(folder=folder))
    log = folder / "log"
    with log.open("w") as stream, subscriber() as subscribed:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", "run", "--config",
             str(folder / "edge.toml"), "--log-format", "journal"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stream,
            cwd=ROOT, preexec_fn=set_limits,
        )  # fmt: skip
        daemon = Limited(process, subscribed, log, folder / "captures")
        try:
            yield daemon
            process.terminate()
            assert process.wait(30) == 0, log.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()
