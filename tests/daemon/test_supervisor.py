"""A step of the supervisor: errors, readiness, watchdog, governor and health messages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.daemon.stalls import StalledError
from edge.daemon.supervisor import GOVERN_S
from edge.runtime.machine import Readings
from edge.runtime.notify import ServiceManager
from edge.vision.picture_check import PictureState
from tests.daemon.fake_parts import HANG_S, INTERVAL_S, STALL_S, Rig


class Manager(ServiceManager):
    """The real service manager's client, with the socket that receives its notifications."""

    def __init__(self, receiver: socket.socket) -> None:
        super().__init__()
        self._receiver = receiver

    def received(self) -> list[str]:
        """The first line of each notification since the last call."""
        lines = []
        while True:
            try:
                lines.append(self._receiver.recv(4096).decode().splitlines()[0])
            except BlockingIOError:
                return lines


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "4")  # fed at every step with new frames
        yield Manager(receiver)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The supervisor's view of the machine: `now_s`, and `readings` of a cool SoC."""
    machine = SimpleNamespace(now_s=1000.0, readings=Readings(50.0))
    clock = SimpleNamespace(monotonic=lambda: machine.now_s)
    monkeypatch.setattr("edge.daemon.supervisor.time", clock)
    monkeypatch.setattr("edge.runtime.machine.read", lambda: machine.readings)
    return machine


@pytest.fixture
def rig(tmp_path: Path, machine: SimpleNamespace) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("name", ["publisher", "control", "recorder"])
def test_an_error_in_a_part_is_raised(rig: Rig, manager: Manager, name: str) -> None:
    rig.supervisor.step(manager)
    getattr(rig, name).error = OSError(f"{name} failed")
    with pytest.raises(OSError, match=f"{name} failed"):
        rig.supervisor.step(manager)


@pytest.mark.parametrize("name", ["source", "analysis"])
def test_an_error_in_a_thread_is_raised(rig: Rig, manager: Manager, name: str) -> None:
    rig.supervisor.step(manager)
    failing = getattr(rig, name)
    failing.error = ValueError(f"{name} failed")
    failing.thread.start()
    failing.thread.join(5)
    with pytest.raises(ValueError, match=f"{name} failed"):
        rig.supervisor.step(manager)


def test_ready_is_sent_once_after_the_first_analysed_frame(rig: Rig, manager: Manager) -> None:
    rig.parts.progress.received = 3
    rig.supervisor.step(manager)
    assert "READY=1" not in manager.received()
    rig.parts.progress.frames = 1
    rig.supervisor.step(manager)
    assert manager.received().count("READY=1") == 1
    rig.parts.progress.frames = 2
    rig.supervisor.step(manager)
    assert "READY=1" not in manager.received()


def test_the_watchdog_is_not_fed_while_a_stage_is_stalled(rig: Rig, manager: Manager) -> None:
    rig.parts.progress.frames = 1
    rig.supervisor.step(manager)
    assert "WATCHDOG=1" in manager.received()
    rig.busy_s = STALL_S
    rig.parts.progress.frames = 2
    rig.supervisor.step(manager)
    assert "WATCHDOG=1" not in manager.received()
    rig.busy_s = 0.0
    rig.supervisor.step(manager)
    assert "WATCHDOG=1" in manager.received()


def test_a_stage_that_hangs_is_an_error(rig: Rig, manager: Manager) -> None:
    rig.busy_s = HANG_S
    with pytest.raises(StalledError, match="an invocation has lasted for 30 s"):
        rig.supervisor.step(manager)


@pytest.mark.parametrize(("live", "levels"), [(True, [1, 2]), (False, [0, 0])])
def test_heat_reduces_the_work_for_a_camera_but_not_for_a_recording(
    tmp_path: Path, machine: SimpleNamespace, manager: Manager, live: bool, levels: list[int]
) -> None:
    rig = Rig(tmp_path, live=live)
    machine.readings = Readings(90.0)
    reached = []
    for _ in range(2):
        rig.supervisor.step(manager)
        reached.append(rig.governor.number)
        machine.now_s += GOVERN_S
    assert reached == levels
    start = "work is reduced to level 2: "
    is_reported = [problem.startswith(start) for problem in rig.parts.problems.current()]
    assert is_reported == ([True] if live else [])


def test_the_governor_acts_once_in_its_period(
    rig: Rig, machine: SimpleNamespace, manager: Manager
) -> None:
    machine.readings = Readings(90.0)
    for _ in range(3):
        rig.supervisor.step(manager)
        machine.now_s += GOVERN_S / 4
    assert rig.governor.number == 1


def test_a_health_message_is_published_once_in_the_interval(
    rig: Rig, machine: SimpleNamespace, manager: Manager
) -> None:
    rig.supervisor.step(manager)
    rig.parts.progress.frames = 7
    machine.now_s += INTERVAL_S - 1
    rig.supervisor.step(manager)
    assert [(health.state, health.frames) for health in rig.healths] == [("starting", 0)]
    machine.now_s += 1
    rig.supervisor.step(manager)
    assert [(health.state, health.frames) for health in rig.healths[1:]] == [("running", 7)]
    assert rig.parts.remote.status().health == rig.healths[-1]
    assert any(line.startswith("STATUS=") for line in manager.received())


def test_a_fault_of_the_picture_is_a_problem_until_it_is_over(rig: Rig, manager: Manager) -> None:
    rig.parts.analysis.picture = PictureState.BLACK
    rig.supervisor.step(manager)
    assert "the picture is black" in rig.parts.problems.current()[0]
    rig.parts.analysis.picture = PictureState.GOOD
    rig.supervisor.step(manager)
    assert rig.parts.problems.current() == ()
