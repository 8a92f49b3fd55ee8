"""The shutdown of a daemon stops every part, also when some of them fail or are stuck."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.daemon.daemon import EXIT_HANGING, Daemon
from edge.errors import BusError, CaptureError
from edge.runtime.notify import ServiceManager
from tests.daemon.fake_parts import Rig

ALL_STOPPED = ["control", "hooks", "recorder", "publisher"]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event that a stuck part waits for. The daemon waits for a stuck thread for 50 ms."""
    monkeypatch.setattr("edge.daemon.daemon.STOP_STAGE_S", 0.05)
    released = threading.Event()
    yield released
    released.set()


def run_and_stop(rig: Rig) -> None:
    """Starts the daemon's parts and stops them at once."""
    daemon = Daemon(rig.parts, rig.supervisor)
    daemon.stop()
    daemon.run(ServiceManager())


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_parts_are_stopped_in_the_order_of_the_flow(rig: Rig) -> None:
    run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED
    assert not rig.source.thread.alive
    assert not rig.analysis.thread.alive
    assert [(health.state, health.problems) for health in rig.healths] == [("stopping", ())]


@pytest.mark.parametrize(("name", "other"), [("source", "analysis"), ("analysis", "source")])
def test_a_stuck_thread_is_a_problem_and_the_later_parts_are_stopped(
    rig: Rig, stuck: threading.Event, name: str, other: str
) -> None:
    getattr(rig, name).stuck = stuck
    run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED
    assert getattr(rig, name).thread.alive
    assert not getattr(rig, other).thread.alive
    assert rig.healths[-1].problems == (f"the thread {name} did not end within 0.05 s",)


@pytest.mark.parametrize("name", ["control", "hooks", "recorder"])
def test_a_part_that_cannot_finish_is_a_problem_and_the_later_parts_are_stopped(
    rig: Rig, name: str
) -> None:
    getattr(rig, name).on_stop = raising(CaptureError("the disk is too slow"))
    run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED
    assert not rig.analysis.thread.alive
    assert rig.healths[-1].problems == ("the disk is too slow",)


@pytest.mark.parametrize("name", ALL_STOPPED)
def test_an_unexpected_error_is_raised_after_all_parts_are_stopped(rig: Rig, name: str) -> None:
    getattr(rig, name).on_stop = raising(ValueError(f"a bug in {name}"))
    with pytest.raises(ValueError, match=f"a bug in {name}"):
        run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED
    assert not rig.analysis.thread.alive
    assert rig.healths[-1].state == "stopping"


def test_a_part_that_does_not_start_ends_the_daemon_and_all_parts_are_stopped(rig: Rig) -> None:
    rig.control.on_start = raising(BusError("the address is in use"))
    with pytest.raises(BusError, match="the address is in use"):
        run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED
    assert not rig.source.thread.started


def test_an_error_in_a_thread_ends_the_daemon_and_all_parts_are_stopped(rig: Rig) -> None:
    rig.analysis.error = ValueError("a bug in the analysis")
    with pytest.raises(ValueError, match="a bug in the analysis"):
        Daemon(rig.parts, rig.supervisor).run(ServiceManager())
    assert rig.stopped == ALL_STOPPED
    assert not rig.source.thread.alive


def test_an_error_that_a_part_has_during_the_shutdown_is_raised(rig: Rig) -> None:
    rig.recorder.on_stop = lambda: setattr(rig.recorder, "error", OSError("a write failed"))
    with pytest.raises(OSError, match="a write failed"):
        run_and_stop(rig)
    assert rig.stopped == ALL_STOPPED


def test_a_shutdown_that_hangs_ends_the_process(
    rig: Rig, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_codes: list[int] = []

    def fake_exit(code: int) -> None:
        exit_codes.append(code)
        stuck.set()

    monkeypatch.setattr(os, "_exit", fake_exit)
    monkeypatch.setattr("edge.daemon.daemon.STOP_S", 0.05)
    rig.control.on_stop = lambda: stuck.wait(10)
    run_and_stop(rig)
    assert exit_codes == [EXIT_HANGING]
