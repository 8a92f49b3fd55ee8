"""A real Mosquitto that tests kill and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


class Mosquitto:
    """Keeps sessions on disk: a subscriber receives missed messages after a restart."""

    def __init__(self, folder: Path, *more: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        folder.mkdir(exist_ok=True)
        anonymous = not any(line.startswith("password_file") for line in more)
        (folder / "mosquitto.conf").write_text(
            "\n".join([
                f"listener {self.port} 127.0.0.1",
                f"allow_anonymous {str(anonymous).lower()}",
                "user root",
                "persistence true",
                f"persistence_location {folder}/",
                "max_queued_messages 0",
                *more,
            ]) + "\n"
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert BINARY is not None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        end_s = time.monotonic() + 5
        while time.monotonic() < end_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self._folder / "log").read_text())

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def save(self) -> None:
        """Writes the sessions and their waiting messages to disk now."""
        assert self._process is not None
        stored = self._folder / "mosquitto.db"
        before = stored.stat().st_mtime_ns if stored.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        end_s = time.monotonic() + 5
        while time.monotonic() < end_s:
            if stored.exists() and stored.stat().st_mtime_ns > before:
                return
            time.sleep(0.01)
        raise AssertionError("the broker saved nothing")

    def freeze(self) -> None:
        """Stops the process: its connections stay open, but it sends nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
