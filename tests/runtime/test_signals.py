from __future__ import annotations

import os
import signal
import threading

import pytest

from edge.runtime.signals import Signals


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


def test_an_action_that_fails_costs_no_later_one(caplog: pytest.LogCaptureFixture) -> None:
    stopped = threading.Event()

    def fail() -> None:
        raise ValueError("a bug")

    with Signals({signal.SIGUSR1: fail, signal.SIGUSR2: stopped.set}):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stopped.wait(5)
    assert "what SIGUSR1 asks for failed" in caplog.text
