"""The daemon under a service manager: its notifications, its signals and its reload."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.client import Event, Subscriber
from edge.config.load import load
from edge.config.schema import Settings
from edge.daemon.daemon import Daemon as InProcess
from edge.daemon.service import ReloadError, Service
from edge.messages import Health

CONFIG = """
[source]
uri = "synthetic:walk?duration=0&width=128&height=128"
[capture]
directory = "{folder}/captures"
min_free_bytes = 0
[bus]
endpoint = "ipc://{folder}/e.ipc"
[health]
interval_s = 0.2
"""


class Daemon:
    """A process as systemd would run it: with a notify socket and a configuration file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "edge.toml"
        self.config.write_text(CONFIG.format(folder=folder))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(60)
        self.log = (folder / "log").open("w+")
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"),
                       "WATCHDOG_USEC": "400000"}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "run", "--config", str(self.config),
             "--log-format", "json"],
            stderr=self.log, stdout=subprocess.DEVNULL, env=environment, cwd="/",
        )  # fmt: skip

    def wait_for(self, expected: str) -> list[str]:
        """All notifications up to the expected one."""
        notifications: list[str] = []
        while not any(expected in text for text in notifications):
            notifications.append(self._socket.recv(4096).decode())
        return notifications

    def forget_notifications(self) -> None:
        """Those that were sent up to now."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)
        self._socket.settimeout(60)

    def reload_with(self, old: str, new: str) -> None:
        self.config.write_text(self.config.read_text().replace(old, new))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("RELOADING=1\nMONOTONIC_USEC=")

    def logged(self) -> list[dict[str, str]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path)
    yield started
    started.process.kill()
    started.process.wait()


def health_of(daemon: Daemon, condition: Callable[[Health], bool]) -> Health:
    """The first health message that meets the condition."""
    deadline_s = time.monotonic() + 60
    with Subscriber(f"ipc://{daemon.folder}/e.ipc", topics=["health."]) as subscriber:
        while time.monotonic() < deadline_s:
            event = subscriber.receive(1)
            message = event.message if isinstance(event, Event) else None
            if isinstance(message, Health) and condition(message):
                return message
    raise AssertionError("no such health was published")


def test_it_is_ready_after_the_first_frame_feeds_the_watchdog_and_stops(daemon: Daemon) -> None:
    assert "WATCHDOG=1" not in daemon.wait_for("READY=1")
    daemon.wait_for("WATCHDOG=1")
    daemon.wait_for("STATUS=")
    start_s = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_for("STOPPING=1")
    assert daemon.process.wait(10) == 0
    assert time.monotonic() - start_s < 5
    assert daemon.logged()[-1]["msg"] == "ended"


def test_a_reload_applies_a_valid_file_and_refuses_an_invalid_one(daemon: Daemon) -> None:
    daemon.wait_for("READY=1")
    first = health_of(daemon, lambda health: health.frames > 0)
    daemon.reload_with('directory = "', 'directori = "')
    daemon.wait_for("READY=1")
    refused = health_of(daemon, lambda health: bool(health.problems))
    assert "did you mean directory?" in refused.problems[0]
    assert refused.header.boot_id == first.header.boot_id
    assert [line["level"] for line in daemon.logged() if "directori" in line["msg"]]
    daemon.reload_with('directori = "', 'directory = "')
    assert "STATUS=the configuration has not changed" in daemon.wait_for("READY=1")[-1]
    daemon.reload_with("walk", "busy")
    daemon.wait_for("READY=1")
    second = health_of(daemon, lambda health: "busy" in health.source and health.frames > 0)
    assert second.header.boot_id != first.header.boot_id
    assert not second.problems
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


def test_the_old_configuration_is_used_again_when_the_new_one_fails_at_the_start(
    daemon: Daemon,
) -> None:
    daemon.wait_for("READY=1")
    daemon.reload_with("/captures", "/edge.toml")  # a file
    failed = health_of(daemon, lambda health: any("does not work" in p for p in health.problems))
    assert "edge.toml: " in failed.problems[0]
    health_of(daemon, lambda health: health.frames > 0)
    assert daemon.process.poll() is None


def test_a_reload_with_a_source_that_is_refused_goes_back_to_the_source_that_works(
    daemon: Daemon,
) -> None:
    daemon.wait_for("READY=1")
    daemon.reload_with("synthetic:walk?duration=0&width=128&height=128", "http://127.0.0.1:9/")
    failed = health_of(daemon, lambda health: any("does not work" in p for p in health.problems))
    assert "refused" in failed.problems[0]
    health_of(daemon, lambda health: health.frames > 0)


@pytest.mark.parametrize(
    ("second_version", "expected"),
    [(0, "changed: health"), (1, "the configuration has not changed")],
)
def test_a_second_reload_replaces_the_daemon_that_has_not_started_yet(
    second_version: int, expected: str, tmp_path: Path
) -> None:
    """A second reload that undoes the first one must not end the service."""
    versions = [
        load(None, {
            "source.uri": "synthetic:walk?duration=1", "source.fast": True,
            "capture.directory": str(tmp_path), "bus.endpoint": f"ipc://{tmp_path}/e.ipc",
            "health.interval_s": interval_s,
        })
        for interval_s in (5.0, 2.0)
    ]  # fmt: skip
    files = iter([versions[1], versions[second_version]])
    started: list[Settings] = []

    def change_twice(daemon: InProcess) -> None:
        started.append(daemon.settings)
        if len(started) == 1:
            assert "changed: health" in service.reload()
            assert expected in service.reload()

    service = Service(versions[0], lambda: next(files), on_start=change_twice)
    last = service.run()
    assert [settings.health.interval_s for settings in started] == [
        5.0,
        versions[second_version].health.interval_s,
    ]
    assert last.progress.frames == 25


def test_a_service_that_is_stopping_refuses_to_reload(tmp_path: Path) -> None:
    settings = load(None, {
        "source.uri": "synthetic:walk", "capture.directory": str(tmp_path),
        "bus.endpoint": f"ipc://{tmp_path}/e.ipc",
    })  # fmt: skip
    service = Service(settings, lambda: settings)
    service.stop()
    with pytest.raises(ReloadError, match="the daemon is stopping"):
        service.reload()
