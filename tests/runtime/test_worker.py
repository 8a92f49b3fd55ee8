from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial

import pytest

from edge.runtime.service_thread import StuckThreadError
from edge.runtime.worker import NICE, Worker

LIMIT_S = 10


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A running worker for a weight of 3."""
    made = Worker("test", 3)
    made.start()
    yield made
    made.request_stop()


class Blocked:
    """A job that is running and goes on when it is released."""

    def __init__(self, worker: Worker, weight: int = 0) -> None:
        self._running, self._released = threading.Event(), threading.Event()
        assert worker.submit(self, weight)
        assert self._running.wait(LIMIT_S)

    def __call__(self) -> None:
        self._running.set()
        assert self._released.wait(LIMIT_S)

    def release(self) -> None:
        self._released.set()


def test_jobs_run_in_order_and_stop_runs_the_rest(worker: Worker) -> None:
    blocked, done = Blocked(worker), list[int]()
    for number in range(5):
        assert worker.submit(partial(done.append, number))
    assert (worker.waiting, done) == (5, [])
    blocked.release()
    worker.stop(LIMIT_S)
    assert done == [0, 1, 2, 3, 4]
    assert worker.error is None


def test_a_job_too_many_is_refused_until_one_has_run(worker: Worker) -> None:
    blocked = Blocked(worker, 2)
    done = threading.Event()
    assert worker.submit(done.set, 1)
    assert not worker.submit(pytest.fail, 1)  # 2 are running and 1 waits
    assert worker.submit(lambda: None)  # no weight
    blocked.release()
    assert done.wait(LIMIT_S)
    assert worker.submit(lambda: None, 100, wait=True)  # nothing else is there


def test_a_job_may_wait_for_room(worker: Worker) -> None:
    blocked = Blocked(worker, 3)
    accepted = list[bool]()
    waiting = threading.Thread(target=lambda: accepted.append(worker.submit(int, 1, wait=True)))
    waiting.start()
    time.sleep(0.05)
    assert accepted == []
    blocked.release()
    waiting.join(LIMIT_S)
    assert accepted == [True]


def test_a_stopped_worker_refuses_jobs_and_those_that_wait(worker: Worker) -> None:
    blocked = Blocked(worker, 3)
    accepted = list[bool]()
    waiting = threading.Thread(target=lambda: accepted.append(worker.submit(int, 1, wait=True)))
    waiting.start()
    worker.request_stop()
    waiting.join(LIMIT_S)
    assert accepted == [False]
    assert not worker.submit(int)
    blocked.release()
    worker.stop(LIMIT_S)


def test_an_exception_of_a_job_is_raised_in_the_owner(worker: Worker) -> None:
    blocked = Blocked(worker, 3)
    raised = list[BaseException]()

    def wait_for_room() -> None:
        try:
            worker.submit(int, 1, wait=True)
        except ZeroDivisionError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait_for_room)
    waiting.start()
    worker.submit(lambda: 1 / 0)
    blocked.release()
    waiting.join(LIMIT_S)
    deadline_s = time.monotonic() + LIMIT_S
    while worker.error is None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert isinstance(worker.error, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        worker.submit(int)
    with pytest.raises(ZeroDivisionError):
        worker.stop(LIMIT_S)


def test_a_job_that_hangs_is_an_error_of_stop(worker: Worker) -> None:
    blocked = Blocked(worker)
    time.sleep(0.01)
    assert worker.busy_s() > 0
    with pytest.raises(StuckThreadError, match=r"the thread test did not end within 0\.05 s"):
        worker.stop(0.05)
    blocked.release()
    worker.stop(LIMIT_S)
    assert worker.busy_s() == 0


def test_a_worker_that_was_never_started_stops() -> None:
    Worker("test", 1).stop(0)


def test_a_job_is_freed_as_soon_as_it_has_run(worker: Worker) -> None:
    class Buffer:
        pass

    buffer = Buffer()
    freed = weakref.ref(buffer)
    worker.submit(partial(id, buffer))
    del buffer
    deadline_s = time.monotonic() + LIMIT_S
    while freed() is not None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert freed() is None


def test_a_stopped_worker_is_freed() -> None:
    worker = Worker("test", 1)
    freed = weakref.ref(worker)
    worker.start()
    worker.stop(LIMIT_S)
    gc.disable()
    try:
        del worker
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="NOT LINUX: a thread has no own priority")
def test_jobs_run_with_a_lower_priority(worker: Worker) -> None:
    niceness = list[int]()
    worker.submit(lambda: niceness.append(os.getpriority(os.PRIO_PROCESS, 0)))
    worker.stop(LIMIT_S)
    assert niceness == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)]
