"""A real daemon under attack, with a client that is allowed to control it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import zmq

from edge.bus import keys
from edge.client import ClientKeys, Control
from edge.errors import EdgeError
from edge.messages import Health
from tests.attack.victim import ROOT

CONFIG = """
[source]
uri = "synthetic:walk?duration=0&width=320&height=240&fps=10&objects=3"
[scheduler]
invocations_per_s = 5
[regions]
pack = false
[capture]
directory = "{folder}/captures"
pre_roll_s = 0.5
post_roll_s = 0.5
max_clip_s = 2
max_bytes = {max_bytes}
min_free_bytes = 0
max_age_days = 30
[[triggers]]
name = "person"
labels = ["person"]
cooldown_s = 0.5
once_per_track = false
[bus]
endpoint = "tcp://127.0.0.1:{port}"
control = "tcp://127.0.0.1:{control}"
keys = "{folder}/keys"
[health]
interval_s = 0.2
"""
START_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """Runs `edge run`, with persons in every picture, until `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 500_000_000,
        environment: Mapping[str, str] | None = None,
        open_files: int | None = None,
    ) -> None:
        self.folder = folder
        self.port, control = free_port(), free_port()
        server = keys.new_pair(folder / "keys", "server")
        client = keys.new_pair(folder, "client")
        keys.allow(folder / "keys", folder / "client.key")
        self.config = folder / "edge.toml"
        self.config.write_text(
            CONFIG.format(folder=folder, port=self.port, control=control, max_bytes=max_bytes)
        )
        self._keys = ClientKeys.read(client, server.with_suffix(".key"))
        self._control = f"tcp://127.0.0.1:{control}"
        self._environment = {**os.environ, **(environment or {}), "EDGE_DEBUG": ""}
        self._open_files = open_files
        self.process = self._start()

    def protect(self, dealer: zmq.Socket[bytes]) -> None:
        """Connects a client's socket to the daemon's control endpoint with a key."""
        self._keys.apply(dealer)
        dealer.connect(self._control)

    def health(self, timeout_s: float = 5.0) -> Health | None:
        """The latest health message; None without an answer."""
        try:
            with Control(self._control, keys=self._keys, timeout_s=timeout_s) as control:
                return control.status().health
        except EdgeError:
            return None

    def wait_for(self, condition: Callable[[Health], bool], timeout_s: float = START_S) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and self.process.poll() is None:
            health = self.health(2.0)
            if health is not None and condition(health):
                return True
            time.sleep(0.1)
        return False

    def works(self) -> bool:
        """Whether frames are analysed now."""
        frames: list[int] = []

        def is_more(health: Health) -> bool:
            frames.append(health.frames)
            return health.frames > frames[0]

        return self.wait_for(is_more)

    def started(self) -> Self:
        """Waits for the first captures. Raises AssertionError."""
        assert self.wait_for(lambda health: health.captures >= 4), self.log()[-2000:]
        return self

    def revive(self) -> None:
        """Starts the daemon again if an earlier attempt ended it."""
        if self.process.poll() is not None:
            self.process = self._start()
            assert self.works(), self.log()[-2000:]

    def restart(self) -> None:
        self.stop()
        self.process = self._start()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(25)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def captured(self) -> set[Path]:
        return {path for path in (self.folder / "captures").rglob("[!.]*") if path.is_file()}

    def rss_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def _start(self) -> subprocess.Popen[bytes]:
        def limit() -> None:
            if self._open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, self._open_files))

        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", "run", "--config", str(self.config),
             "--log-format", "json"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("a"), env=self._environment, cwd=ROOT,
            preexec_fn=limit,
        )  # fmt: skip
