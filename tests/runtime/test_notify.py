"""systemd's notify protocol over a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.runtime.notify import ServiceManager, notify


@pytest.fixture(params=["path", "abstract"])
def manager_socket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.settimeout(5)
    if request.param == "path":
        address = str(tmp_path / "notify")
        bound.bind(address)
    else:
        name = f"edge-test-{os.getpid()}"
        address = f"@{name}"
        bound.bind(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    yield bound
    bound.close()


def test_lines_arrive_as_one_datagram(manager_socket: socket.socket) -> None:
    notify("READY=1", "STATUS=watching ünder")
    assert manager_socket.recv(4096).decode() == "READY=1\nSTATUS=watching ünder"


def test_states_are_those_of_sd_notify(manager_socket: socket.socket) -> None:
    manager = ServiceManager()
    manager.ready("up")
    manager.reloading()
    manager.status("busy")
    manager.stopping()
    received = [manager_socket.recv(4096).decode() for _ in range(4)]
    assert received[0] == "READY=1\nSTATUS=up"
    assert received[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert received[2:] == ["STATUS=busy", "STOPPING=1"]


def test_the_watchdog_is_fed_by_progress_alone(
    manager_socket: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "4000")  # fed at most once per ms
    now_ns = [10**9]
    monkeypatch.setattr("edge.runtime.notify.time.monotonic_ns", lambda: now_ns[0])
    manager = ServiceManager()
    manager_socket.setblocking(False)
    for frames, step_us in ((0, 2000), (1, 2000), (1, 2000), (2, 10), (2, 2000)):
        now_ns[0] += step_us * 1000
        manager.feed(frames)
    received = []
    while True:
        try:
            received.append(manager_socket.recv(4096).decode())
        except BlockingIOError:
            break
    assert received == ["WATCHDOG=1"] * 2


def test_without_a_manager_nothing_is_sent_and_a_dead_one_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    assert not caplog.records
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    assert "was not notified" in caplog.text


def test_a_busy_manager_is_not_waited_for_and_gets_each_change_later(
    manager_socket: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "4")
    while notify("STATUS=until its socket is full"):
        pass
    manager = ServiceManager()
    manager.reloading()
    manager.ready("up")
    manager.ready("up again")
    manager.feed(1)
    manager_socket.setblocking(False)

    def received() -> list[str]:
        texts: list[str] = []
        while True:
            try:
                texts.append(manager_socket.recv(4096).decode())
            except BlockingIOError:
                return texts

    assert set(received()) == {"STATUS=until its socket is full"}
    manager.feed(1)
    manager.status("busy")
    watchdog, reloading, *others = received()
    assert watchdog == "WATCHDOG=1"
    assert reloading.startswith("RELOADING=1")
    assert others == ["READY=1\nSTATUS=up again", "STATUS=busy"]


def test_a_reload_and_the_supervisor_may_notify_at_the_same_time(
    manager_socket: socket.socket,
) -> None:
    manager = ServiceManager()
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                manager_socket.recv(4096)

    def run(action: Callable[[], None]) -> None:
        try:
            for _ in range(1000):
                action()
        except BaseException as error:
            errors.append(error)

    def reload() -> None:
        manager.reloading()
        manager.ready("reloaded")

    manager_socket.settimeout(0.1)
    reader = threading.Thread(target=read)
    workers = [threading.Thread(target=run, args=(action,))
               for action in (reload, reload, lambda: manager.status("40 frames"))]  # fmt: skip
    for thread in (reader, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    done.set()
    reader.join()
    assert not errors
