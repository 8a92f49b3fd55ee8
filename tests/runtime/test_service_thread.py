"""One base for every thread that lives as long as the program."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from edge.runtime.service_thread import ServiceThread, StuckThreadError


def test_it_runs_until_it_is_stopped() -> None:
    woken = threading.Event()
    thread = ServiceThread("loop", lambda: woken.wait(10), woken.set)
    thread.start()
    assert thread.alive
    assert not thread.stopping
    thread.stop(5)
    assert not thread.alive
    assert thread.stopping
    thread.raise_error()


def test_an_exception_is_kept_and_comes_out_in_the_owner() -> None:
    def fail() -> None:
        raise ValueError("broken")

    thread = ServiceThread("fails", fail)
    thread.start()
    thread.join(5)
    assert isinstance(thread.error, ValueError)
    with pytest.raises(ValueError, match="broken"):
        thread.raise_error()


def test_a_thread_that_does_not_end_is_an_error_and_not_a_silent_loss() -> None:
    release = threading.Event()
    thread = ServiceThread("stuck", lambda: release.wait(10))
    thread.start()
    with pytest.raises(StuckThreadError, match=r"the thread stuck did not end within 0\.05 s"):
        thread.stop(0.05)
    assert thread.alive
    release.set()
    thread.stop(5)


def test_a_thread_that_was_never_started_can_be_stopped() -> None:
    thread = ServiceThread("idle", lambda: None)
    thread.stop(0)
    assert not thread.started


def test_work_in_progress_is_visible_from_outside() -> None:
    begun, release = threading.Event(), threading.Event()

    def run() -> None:
        with thread.work():
            begun.set()
            release.wait(10)

    thread = ServiceThread("busy", run)
    assert thread.busy_s() == 0
    thread.start()
    assert begun.wait(5)
    time.sleep(0.02)
    assert thread.busy_s() >= 0.02
    release.set()
    thread.stop(5)
    assert thread.busy_s() == 0


def test_the_owner_is_freed_without_the_garbage_collector() -> None:
    class Owner:
        def __init__(self) -> None:
            self.thread = ServiceThread("owned", self._run)

        def _run(self) -> None:
            pass

    gc.disable()
    try:
        owner = Owner()
        owner.thread.start()
        owner.thread.stop(5)
        gone = weakref.ref(owner)
        del owner
        assert gone() is None
    finally:
        gc.enable()
