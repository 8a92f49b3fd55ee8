"""Publisher and subscriber over real sockets."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
import zmq

from edge.bus.outbox import QUEUE_LENGTH
from edge.bus.publisher import Publisher
from edge.client import Event, Gap, Subscriber
from edge.config.schema import BusSettings
from edge.errors import BusError
from edge.messages import (
    AnyMessage,
    Capture,
    Health,
    MessageError,
    Presence,
    Track,
    Trigger,
    decode,
    encode,
    schemas,
    topic_of,
)

ROOT = Path(__file__).resolve().parents[2]
QUIET_S = float(os.environ.get("EDGE_QUIET_S", "0.3"))  # nothing more comes; longer if emulated


def capture(number: int, rule: str = "person") -> Capture:
    return Capture(
        event_ids=(f"{number:x}",), rule=rule, capture="still", path=f"/c/{number}.jpg",
        sidecar=f"/c/{number}.json", size_bytes=number,
    )  # fmt: skip


def track(label: str, number: int = 1, change: str = "new") -> Track:
    return Track(
        change=change, track_id=number, label=label, score=0.5, state="moving",  # type: ignore[arg-type]
        box=(0, 0, 1, 1), box_px=(0, 0, 9, 9), velocity=(0, 0), age_s=0,
    )  # fmt: skip


def health(frames: int) -> Health:
    return Health(
        state="running", source="s", model="m", uptime_s=1, fps=1, frames=frames, invocations=0,
        invocations_per_s=0, inference_ms=0, tracks=0, triggers=0, captures=0, dropped={},
        rss_bytes=0, temperature_c=None, problems=(),
    )  # fmt: skip


def summary(message: AnyMessage | None) -> tuple[object, ...]:
    """The fields that identify a message in these tests."""
    match message:
        case Track():
            return (message.track_id, message.change, message.header.repeated)
        case Health():
            return (message.frames, message.header.repeated)
        case _:
            return ()


def received(subscriber: Subscriber, timeout_s: float = QUIET_S) -> list[Event]:
    events = []
    while (event := subscriber.receive(timeout_s)) is not None:
        events.append(event)
    return events


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/e.ipc"


def started(endpoint: str, **settings: object) -> Publisher:
    publisher = Publisher(BusSettings(endpoint=endpoint, **settings), "cam0", "b007")  # type: ignore[arg-type]
    publisher.start()
    return publisher


def subscribed(subscriber: Subscriber, publisher: Publisher) -> None:
    """Publishes until the subscription is known to the publisher."""
    for _ in range(200):
        publisher.publish(capture(0, rule="sync"), 0, 0)
        if subscriber.receive(0.05) is not None:
            break
    while subscriber.receive(0.1) is not None:
        pass


def test_messages_arrive_in_order_with_their_picture(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint) as subscriber:
        subscribed(subscriber, publisher)
        for number in range(100):
            publisher.publish(capture(number), 5, 1_700_000_000_000_000_000, b"jpeg")
        events = [subscriber.receive(2) for _ in range(100)]
    publisher.stop()
    assert [event.message.size_bytes for event in events] == list(range(100))
    assert events[0].jpeg == b"jpeg"
    assert events[0].topic == "capture.cam0.person"
    assert events[0].message.header.timestamp_ns == 5
    assert events[0].message.header.wall_time.year == 2023
    sequences = [event.message.header.sequence for event in events]
    assert sequences == list(range(sequences[0], sequences[0] + 100))
    assert subscriber.gaps.missing == 0


def test_topics_filter_and_names_in_them_are_made_safe(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint, topics=["track.cam0.", "capture.cam0.sync"]) as subscriber:
        subscribed(subscriber, publisher)
        publisher.publish(capture(1), 0, 0)
        publisher.publish(track("traffic light.red"), 0, 0)
        event = subscriber.receive(2)
        assert subscriber.receive(0.1) is None
    publisher.stop()
    assert event.topic == "track.cam0.traffic_light_red.new"
    assert subscriber.gaps.missing == 0


def test_asyncio(endpoint: str) -> None:
    publisher = started(endpoint)

    async def first(subscriber: Subscriber) -> str:
        async for event in subscriber:
            return event.topic
        return ""

    with Subscriber(endpoint) as subscriber:
        subscribed(subscriber, publisher)
        publisher.publish(capture(1), 0, 0)
        assert asyncio.run(asyncio.wait_for(first(subscriber), 5)) == "capture.cam0.person"
    publisher.stop()


def test_a_gap_is_reported(endpoint: str) -> None:
    gaps: list[Gap] = []
    publisher = started(endpoint)
    with Subscriber(endpoint, on_gap=gaps.append) as subscriber:
        subscribed(subscriber, publisher)
        publisher.publish(capture(1), 0, 0)
        assert subscriber.receive(2) is not None
        publisher._outbox._topic_sequences["capture.cam0.person"] += (
            3  # as if the queue had dropped three
        )
        publisher.publish(capture(5), 0, 0)
        assert subscriber.receive(2) is not None
    publisher.stop()
    assert [(gap.topic, gap.missing) for gap in gaps] == [("capture.cam0.person", 3)]


def test_a_stalled_subscriber_delays_nobody(endpoint: str) -> None:
    publisher = started(endpoint, high_water_mark=100, linger_ms=0)
    context = zmq.Context()
    stalled = context.socket(zmq.SUB)
    stalled.set(zmq.RCVHWM, 1)
    stalled.subscribe("")
    stalled.connect(endpoint)
    received = 0
    with Subscriber(endpoint) as subscriber:
        subscribed(subscriber, publisher)
        slowest_s = 0.0
        for number in range(400):
            start_s = time.monotonic()
            publisher.publish(capture(number), 0, 0, bytes(20_000))
            slowest_s = max(slowest_s, time.monotonic() - start_s)
            received += subscriber.receive(2) is not None
    stalled.close(0)
    context.term()
    publisher.stop()
    assert received == 400
    assert slowest_s < 0.5
    assert publisher.dropped == 0


def test_a_stalled_subscriber_holds_at_most_its_high_water_mark(endpoint: str) -> None:
    publisher = started(endpoint, high_water_mark=50, linger_ms=0)
    with Subscriber(endpoint, high_water_mark=1) as stalled:
        subscribed(stalled, publisher)
        for number in range(600):
            publisher.publish(capture(number), 0, 0, bytes(100_000))
            if number % 100 == 0:
                time.sleep(0.1)  # otherwise the publisher's own queue drops messages
        time.sleep(0.5)
        events = received(stalled)
        publisher.publish(capture(0), 0, 0)
        assert stalled.receive(2) is not None
    publisher.stop()
    assert publisher.dropped == 0
    assert 25 <= len(events) < 100  # the mark, and the kernel's buffers
    assert len(events) + stalled.gaps.missing == 600


def test_a_new_subscriber_receives_the_last_health_and_the_open_tracks(endpoint: str) -> None:
    publisher = started(endpoint)
    for message in (
        health(1), track("cat", 1), track("dog", 2), track("cat", 1, "update"), track("dog", 3),
        track("dog", 2, "end"), health(2), capture(1),
    ):  # fmt: skip
        publisher.publish(message, 0, 0)
    end_s = time.monotonic() + 5
    while publisher.behind_s():  # one that joins before would receive them directly
        assert time.monotonic() < end_s
        time.sleep(0.01)
    with Subscriber(endpoint) as subscriber:
        events = received(subscriber)
        assert [summary(event.message) for event in events] == [
            (1, "update", True), (3, "new", True), (2, True)
        ]  # fmt: skip
        assert [event.message.header.sequence for event in events] == [4, 5, 7]
        publisher.publish(health(3), 0, 0)
        publisher.publish(track("dog", 3, "end"), 0, 0)
        assert [summary(event.message) for event in received(subscriber)] == [
            (3, False), (3, "end", False)
        ]  # fmt: skip
        assert subscriber.gaps.missing == 0
    with Subscriber(endpoint, topics=["track.cam0.cat."]) as subscriber:
        assert [summary(event.message) for event in received(subscriber)] == [(1, "update", True)]
    publisher.stop()


def test_repeats_for_others_are_dropped_and_hide_no_gap(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint, topics=["health."]) as first:
        publisher.publish(health(1), 0, 0)
        assert first.receive(2) is not None
        publisher.publish(health(2), 0, 0)
        assert summary(first.receive(2).message) == (2, False)
        for _ in range(3):
            with Subscriber(endpoint, topics=["health."]) as other:
                assert summary(other.receive(2).message) == (2, True)
        publisher._outbox._topic_sequences["health.cam0"] += 2  # as if two were lost on the way
        publisher.publish(health(4), 0, 0)
        events = received(first)
    publisher.stop()
    assert [summary(event.message) for event in events] == [(4, False)]
    assert first.gaps.missing == 2


def test_a_new_subscriber_receives_the_last_presence(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint, topics=["presence."]) as first:
        for number in (1, 2):
            publisher.publish(Presence(rules={"person": number}, zones={}, lines={}), 0, 0)
            assert first.receive(2) is not None
    with Subscriber(endpoint, topics=["presence."]) as late:
        (event,) = received(late)
    publisher.stop()
    assert isinstance(event.message, Presence)
    assert event.message.rules == {"person": 2}
    assert event.message.header.repeated


def test_fifty_new_subscribers_at_once_cost_others_no_message(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint) as steady, zmq.Context() as context:
        subscribed(steady, publisher)
        publisher.publish(health(1), 0, 0)
        for number in range(300):
            if number % 6 == 0:
                newcomer = context.socket(zmq.SUB)
                newcomer.subscribe("")
                newcomer.connect(endpoint)
                newcomer.close(0)
            publisher.publish(capture(number), 0, 0)
        events = received(steady)
    publisher.stop()
    assert len(events) == 301
    assert steady.gaps.missing == 0


def test_a_track_whose_end_the_queue_dropped_is_not_repeated(endpoint: str) -> None:
    publisher = Publisher(BusSettings(endpoint=endpoint), "cam0", "b007")
    publisher.publish(track("cat", 1), 0, 0)
    publisher.publish(track("cat", 1, "end"), 0, 0)
    for number in range(QUEUE_LENGTH):
        publisher.publish(capture(number), 0, 0)
    publisher.start()
    with Subscriber(endpoint, topics=["track."]) as subscriber:
        assert received(subscriber) == []
    publisher.stop()
    assert publisher.dropped == 2


def test_only_owner_and_group_may_use_the_socket(endpoint: str) -> None:
    publisher = started(endpoint)
    mode = Path(endpoint.removeprefix("ipc://")).stat().st_mode
    publisher.stop()
    assert mode & 0o777 == 0o660


def test_a_second_daemon_on_the_endpoint_is_refused(endpoint: str) -> None:
    publisher = started(endpoint)
    with pytest.raises(BusError, match="another daemon uses this address"):
        started(endpoint)
    publisher.stop()
    started(endpoint).stop()


def test_a_tcp_port_in_use_is_refused() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(BusError, match="in use by another program"):
            started(f"tcp://127.0.0.1:{port}", insecure=True)


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("tcp://127.0.0.1:5999", "insecure = true"),
        ("ipc:///nowhere/at/all/e.ipc", "No such file or directory"),
        (f"ipc:///tmp/{'x' * 120}", "107 bytes"),
        ("ipc://@edge", "a path is needed"),
    ],
)
def test_unusable_endpoints_are_refused(endpoint: str, problem: str) -> None:
    with pytest.raises(BusError, match=problem):
        started(endpoint)


@pytest.mark.parametrize(
    "parts",
    [[], [b"t"], [b"t", b"{}"], [b"t", b"no json"], [b"t", b'{"type":"capture"}'], [b""] * 4],
)
def test_bytes_that_are_no_message_are_refused(parts: list[bytes]) -> None:
    with pytest.raises(MessageError):
        decode(parts)


def test_another_schema_version_is_named_and_new_fields_are_ignored(endpoint: str) -> None:
    publisher = started(endpoint)
    with Subscriber(endpoint) as subscriber:
        subscribed(subscriber, publisher)
        publisher.publish(capture(1), 0, 0)
        body = encode(subscriber.receive(2).message)[1]
    publisher.stop()
    newer = body.replace(b'"schema_version":1', b'"schema_version":2')
    assert newer != body
    with pytest.raises(MessageError, match="schema version 2"):
        decode([b"t", newer])
    more = body.replace(b'"rule"', b'"new_field":1,"rule"')
    assert decode([b"t", more])[0] == decode([b"t", body])[0]


def test_topics_of_each_kind() -> None:
    assert topic_of(capture(1), "cam0") == "capture.cam0.person"
    assert topic_of(track("dog"), "cam0") == "track.cam0.dog.new"
    assert Trigger.kind == "trigger"
    assert Health.kind == "health"


def test_the_schemas_are_up_to_date() -> None:
    for kind, text in schemas().items():
        assert (ROOT / "docs" / "schemas" / f"{kind}.json").read_bytes() == text, "make schemas"
