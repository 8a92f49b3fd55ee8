"""A subscriber skips and counts messages that it can't read, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from hypothesis import example, given
from hypothesis import strategies as st

from edge.client import (
    MAX_PART_BYTES,
    MAX_TOPICS,
    WARNED_CAUSES,
    BusError,
    Control,
    Event,
    GapCounter,
    MessageError,
    Subscriber,
)
from edge.messages import SCHEMA_VERSION, Trigger, decode, decode_command, decode_reply

STORED = Path(__file__).parent / "stored" / "1"
TRIGGER = (STORED / "trigger.json").read_bytes()
NEWER = TRIGGER.replace(b'"schema_version":1', b'"schema_version":%d' % (SCHEMA_VERSION + 1))
CHANGED = NEWER.replace(b'"rule"', b'"rules"')  # and without a field of this version
UNKNOWN = TRIGGER.replace(b'"type":"trigger"', b'"type":"weather"')
NEWER_CAUSE = f"schema version {SCHEMA_VERSION + 1}"
DAMAGED = [
    [b"trigger.cam0.visitor"],
    [b"trigger.cam0.visitor", b""],
    [b"trigger.cam0.visitor", b"\xff\x00"],
    [b"trigger.cam0.visitor", TRIGGER[:-9]],
    [b"trigger.cam0.visitor", b"[" * 100_000],
    [b"trigger.cam0.visitor", TRIGGER.replace(b"0.875", b'"much"')],
    [b"trigger.cam0.visitor", TRIGGER.replace(b'"header"', b'"head"')],
    [b"trigger.\xff", TRIGGER],
    [b"trigger.cam0.visitor", TRIGGER, b"", b""],
]


class RawPublisher:
    """A publisher that sends any bytes."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.bind(endpoint)

    def send(self, *messages: list[bytes]) -> None:
        for message in messages:
            self._socket.send_multipart(message)

    def wait_for_subscriber(self) -> None:
        assert self._socket.poll(5000)
        self._socket.recv()

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/e.ipc"


@pytest.fixture
def publisher(endpoint: str) -> Iterator[RawPublisher]:
    publisher = RawPublisher(endpoint)
    yield publisher
    publisher.close()


def readable(event_id: int) -> list[bytes]:
    return [b"trigger.cam0.visitor", TRIGGER.replace(b"0123456789abcdef", b"%d" % event_id)]


def event_id(event: Event | None) -> str:
    assert event is not None
    assert isinstance(event.message, Trigger)
    return event.message.event_id


def test_a_newer_daemon_does_not_end_a_subscriber(
    publisher: RawPublisher, endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    causes: list[str] = []
    with Subscriber(
        endpoint, on_unreadable=lambda error: causes.append(error.cause)
    ) as subscriber, caplog.at_level(logging.WARNING):  # fmt: skip
        publisher.wait_for_subscriber()
        for body in (NEWER, CHANGED, UNKNOWN) * 2:
            publisher.send([b"trigger.cam0.visitor", body])
        publisher.send(readable(7))
        assert event_id(subscriber.receive(5)) == "7"
        assert subscriber.unreadable == 6
    assert causes == [NEWER_CAUSE, NEWER_CAUSE, "kind 'weather'"] * 2
    assert [record.message for record in caplog.records] == [
        f"skipping messages: {NEWER_CAUSE} can't be read; this program reads {SCHEMA_VERSION}: "
        "update this program",
        "skipping messages: unknown kind 'weather' of message",
    ]


def test_each_damaged_message_costs_itself_only(publisher: RawPublisher, endpoint: str) -> None:
    with Subscriber(endpoint) as subscriber:
        publisher.wait_for_subscriber()
        for number, message in enumerate(DAMAGED):
            publisher.send(message, readable(number))
        events = [subscriber.receive(5) for _ in DAMAGED]
        assert list(map(event_id, events)) == [str(number) for number in range(len(DAMAGED))]
        assert subscriber.unreadable == len(DAMAGED)


def test_an_asynchronous_subscriber_goes_on_too(publisher: RawPublisher, endpoint: str) -> None:
    async def first(subscriber: Subscriber) -> str:
        async for event in subscriber:
            return event_id(event)
        return ""

    with Subscriber(endpoint) as subscriber:
        publisher.wait_for_subscriber()
        publisher.send([b"trigger.cam0.visitor", NEWER], *DAMAGED, readable(3))
        assert asyncio.run(asyncio.wait_for(first(subscriber), 5)) == "3"
        assert subscriber.unreadable == 1 + len(DAMAGED)


def test_a_callback_that_raises_ends_the_loop(publisher: RawPublisher, endpoint: str) -> None:
    """For a program that must not miss a message without notice."""

    def refuse(error: MessageError) -> None:
        raise error

    with Subscriber(endpoint, on_unreadable=refuse) as subscriber:
        publisher.wait_for_subscriber()
        publisher.send([b"trigger.cam0.visitor", NEWER])
        with pytest.raises(MessageError, match=NEWER_CAUSE):
            subscriber.receive(5)


def test_unreadable_messages_do_not_keep_receive_beyond_its_time(
    publisher: RawPublisher, endpoint: str
) -> None:
    with Subscriber(
        endpoint, on_unreadable=lambda _: publisher.send([b"trigger.", NEWER])
    ) as subscriber:  # each one skipped is followed by the next
        publisher.wait_for_subscriber()
        publisher.send([b"trigger.", NEWER])
        begun_s = time.monotonic()
        assert subscriber.receive(0.2) is None
        assert time.monotonic() - begun_s < 2
        assert subscriber.unreadable > 1


def test_warnings_are_bounded(
    publisher: RawPublisher, endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    count = WARNED_CAUSES + 10
    with Subscriber(endpoint) as subscriber, caplog.at_level(logging.WARNING):
        publisher.wait_for_subscriber()
        for number in range(count):
            publisher.send([b"trigger.", UNKNOWN.replace(b"weather", b"weather%d" % number)])
        publisher.send(readable(1))
        assert subscriber.receive(5) is not None
        assert subscriber.unreadable == count
    assert len(caplog.records) == WARNED_CAUSES


@pytest.mark.parametrize(
    ("body", "cause"),
    [(NEWER, NEWER_CAUSE), (CHANGED, NEWER_CAUSE), (UNKNOWN, "kind 'weather'"),
     (TRIGGER.replace(b'"trigger"', b'"' + b"x" * 500 + b'"'), f"kind {'x' * 40!r}"),
     (b"{}", "malformed")],
)  # fmt: skip
def test_decode_raises_with_the_cause(body: bytes, cause: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode([b"trigger.cam0.visitor", body])
    assert caught.value.cause == cause


@pytest.mark.parametrize("name", ["done", "status", "failure", "snapshot"])
def test_a_reply_of_a_newer_daemon_is_one_sentence(name: str) -> None:
    body = (STORED / f"reply-{name}.json").read_bytes()
    newer = body.replace(b'"schema_version":1', b'"schema_version":%d' % (SCHEMA_VERSION + 1), 1)
    for reply in (newer, newer.replace(f'"reply":"{name}"'.encode(), b'"reply":"unknown"')):
        assert reply != body
        with pytest.raises(MessageError, match=f"{NEWER_CAUSE} .*: update this program"):
            decode_reply([reply])


def test_control_reports_a_newer_daemon_and_stays_usable(endpoint: str) -> None:
    done = (STORED / "reply-done.json").read_bytes()
    newer = done.replace(b'"schema_version":1', b'"schema_version":%d' % (SCHEMA_VERSION + 1))

    def answer(daemon: zmq.Socket[bytes]) -> None:
        for reply in (newer, done):
            *envelope, _ = daemon.recv_multipart()
            daemon.send_multipart([*envelope, reply])

    with zmq.Context() as context, context.socket(zmq.ROUTER) as daemon:
        daemon.bind(endpoint)
        thread = threading.Thread(target=answer, args=(daemon,))
        thread.start()
        with Control(endpoint, timeout_s=5) as client:
            with pytest.raises(MessageError, match="update this program"):
                client.resume()
            assert client.resume().text == "paused"
        thread.join(5)
        assert not thread.is_alive()


@given(st.lists(st.binary(max_size=200) | st.sampled_from([*(part for m in DAMAGED for part in m)]),
                max_size=4))  # fmt: skip
@example([b"t", b'{"type":' * 50_000])
@example([b"t", b"1" * 5000])
@example([b"t", b'{"type":"trigger","header":' + b"9" * 400 + b"}"])
@example([b"t", TRIGGER.replace(b"0.875", b"1e999")])
def test_any_parts_are_a_message_or_a_message_error(parts: list[bytes]) -> None:
    for read in (decode, decode_reply):
        with contextlib.suppress(MessageError):
            read(parts)
    if parts:
        with contextlib.suppress(MessageError):
            decode_command(parts[0])


def test_the_counter_of_gaps_remembers_a_bounded_number_of_topics() -> None:
    counter = GapCounter()
    message = decode([b"t", TRIGGER])[0]
    for number in range(MAX_TOPICS + 500):
        counter.note(Event(f"trigger.{number}", message))
    assert len(counter._topics) == MAX_TOPICS
    assert counter.is_known(Event(f"trigger.{MAX_TOPICS}", message)) is False
    assert counter.missing == 0


def test_a_part_that_is_too_large_ends_the_connection_to_its_publisher_only(
    endpoint: str, tmp_path: Path
) -> None:
    false, other = RawPublisher(endpoint), RawPublisher(f"ipc://{tmp_path}/other")
    try:
        with Subscriber([endpoint, f"ipc://{tmp_path}/other"]) as subscriber:
            false.wait_for_subscriber()
            other.wait_for_subscriber()
            false.send([b"t", b"x" * (MAX_PART_BYTES + 1)])
            other.send([b"trigger.cam0.visitor", TRIGGER])
            event = subscriber.receive(5)
            assert event is not None
            assert event.message.kind == "trigger"
            assert subscriber.receive(0.3) is None
    finally:
        false.close()
        other.close()


def test_an_endpoint_of_any_text_is_refused_by_one_error() -> None:
    for text in ("", "nonsense", "ipc://a\0b", "\ud800", "tcp://:", "ipc://" + "x" * 500):
        with pytest.raises(BusError):
            Subscriber(text)
