"""Stopping the bus's threads: a socket is closed only after its thread has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq

from edge.bus import control, publisher
from edge.bus.control import ControlServer
from edge.bus.endpoint import control_endpoint
from edge.bus.publisher import Publisher
from edge.client import Subscriber
from edge.config.schema import BusSettings
from edge.messages import Capture, DoneReply, ResumeCommand, encode, encode_command
from edge.runtime.service_thread import StuckThreadError

MESSAGE = Capture(
    event_ids=(), rule="r", capture="still", path="p", sidecar="s", size_bytes=1
)  # fmt: skip


class Blocker:
    """Stops the thread that calls it until it is released."""

    def __init__(self) -> None:
        self.reached, self._released = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self._released.wait(20)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def blocker() -> Iterator[Blocker]:
    blocker = Blocker()
    yield blocker
    blocker.release()


@pytest.fixture
def settings(tmp_path: Path) -> BusSettings:
    return BusSettings(endpoint=f"ipc://{tmp_path}/e.ipc", linger_ms=0)


def until_ended(name: str) -> None:
    end_s = time.monotonic() + 5
    while any(thread.name == name for thread in threading.enumerate()):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_publisher_whose_thread_is_stuck_keeps_its_socket_open(
    settings: BusSettings, blocker: Blocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_encode(*arguments: Any) -> list[bytes]:
        blocker()
        return encode(*arguments)

    publishing = Publisher(settings, "cam0", "b007")
    publishing.start()
    with ExitStack() as stack:
        stack.callback(publishing.stop)
        stack.callback(blocker.release)
        subscriber = stack.enter_context(Subscriber(settings.endpoint))
        while subscriber.receive(0.05) is None:  # not subscribed yet
            publishing.publish(MESSAGE, 0, 0)
        while subscriber.receive(0.2) is not None:
            pass
        monkeypatch.setattr(publisher, "encode", slow_encode)
        first = publishing.published + 1
        publishing.publish(MESSAGE, 0, 0)
        assert blocker.reached.wait(5)
        with monkeypatch.context() as patch:
            patch.setattr(publisher, "STOP_S", 0.2)
            with pytest.raises(StuckThreadError, match="publisher did not end"):
                publishing.stop()
        assert publishing.behind_s() == 0.0  # the one message was taken from the queue
        publishing.publish(MESSAGE, 0, 0)
        blocker.release()
        events = [subscriber.receive(5) for _ in range(2)]  # sent while it was stopping
        headers = [event.message.header for event in events if event is not None]
        assert [header and header.sequence for header in headers] == [first, first + 1]
        until_ended("publisher")
        assert publishing.error is None
    again = Publisher(settings, "cam0", "b007")
    again.start()  # the endpoint is free again
    again.stop()


def test_an_error_in_the_publishers_thread_is_kept_and_its_socket_is_closed(
    settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_encode(*_: Any) -> list[bytes]:
        raise ZeroDivisionError

    monkeypatch.setattr(publisher, "encode", failing_encode)
    publishing = Publisher(settings, "cam0", "b007")
    assert publishing.error is None
    publishing.start()
    publishing.publish(MESSAGE, 0, 0)
    until_ended("publisher")
    assert isinstance(publishing.error, ZeroDivisionError)
    publishing.stop()
    publishing.publish(MESSAGE, 0, 0)  # does nothing after `stop`
    again = Publisher(settings, "cam0", "b007")
    again.start()
    again.stop()


class SlowCommands:
    """Only `resume` is called, and takes until it is released."""

    def __init__(self, blocker: Blocker) -> None:
        self._blocker = blocker

    def resume(self) -> DoneReply:
        self._blocker()
        return DoneReply(text="resumed")


def test_a_control_server_whose_command_does_not_end_keeps_its_socket_open(
    settings: BusSettings, blocker: Blocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ControlServer(settings, SlowCommands(blocker))  # type: ignore[arg-type]
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        stack.callback(blocker.release)
        context = stack.enter_context(zmq.Context())
        client = stack.enter_context(context.socket(zmq.REQ))
        client.set(zmq.LINGER, 0)
        client.connect(control_endpoint(settings))
        client.send(encode_command(ResumeCommand()))
        assert blocker.reached.wait(5)
        time.sleep(0.05)
        assert server.busy_s() >= 0.05
        with monkeypatch.context() as patch:
            patch.setattr(control, "STOP_S", 0.2)
            with pytest.raises(StuckThreadError, match="control did not end"):
                server.stop()
        blocker.release()
        assert client.poll(5000)  # the reply could still be sent
        assert b"resumed" in client.recv()
        until_ended("control")
        assert server.error is None
        assert server.busy_s() == 0.0
