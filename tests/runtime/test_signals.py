"""Signals that act in a thread, sent by the operating system itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from edge.runtime import signals
from edge.runtime.signals import Signals, until_signal


def test_actions_run_in_another_thread_even_while_the_main_one_holds_a_lock() -> None:
    lock, done = threading.Lock(), threading.Event()

    def act() -> None:
        with lock:
            done.set()

    before = signal.getsignal(signal.SIGUSR1)
    with Signals({signal.SIGUSR1: act}):
        with lock:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not done.wait(0.05)
        assert done.wait(5)
    assert signal.getsignal(signal.SIGUSR1) is before


def test_an_action_that_fails_prevents_no_later_one(caplog: pytest.LogCaptureFixture) -> None:
    stopped = threading.Event()

    def fail() -> None:
        raise ValueError("a bug")

    with Signals({signal.SIGUSR1: fail, signal.SIGUSR2: stopped.set}):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stopped.wait(5)
    assert "the action for SIGUSR1 failed" in caplog.text


def test_leaving_does_not_wait_for_an_action_that_hangs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "STOP_S", 0.1)
    started, release = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait(30)

    before = signal.getsignal(signal.SIGUSR1)
    with Signals({signal.SIGUSR1: hang}):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert started.wait(5)
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 5
    release.set()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert "the action for a signal still runs" in caplog.text


def test_nothing_stays_open_after_leaving() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with Signals({signal.SIGUSR1: threading.Event().set}):
        pass
    before = descriptors()
    for _ in range(5):
        with Signals({signal.SIGUSR1: threading.Event().set}):
            pass
    assert descriptors() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_program_without_threads_learns_that_a_signal_came() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with until_signal() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped()
    assert signal.getsignal(signal.SIGTERM) is before
