"""Publisher and subscriber over real sockets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import zmq

from edge.bus.publisher import Publisher
from edge.client import Gap, Subscriber
from edge.errors import BusError
from edge.messages import (
    Capture,
    Health,
    MessageError,
    Track,
    Trigger,
    decode,
    encode,
    schemas,
    topic_of,
)
from edge.settings import BusSettings

ROOT = Path(__file__).resolve().parent.parent


def capture(number: int, rule: str = "person") -> Capture:
    return Capture(
        event_ids=(f"{number:x}",), rule=rule, capture="still", path=f"/c/{number}.jpg",
        sidecar=f"/c/{number}.json", size_bytes=number,
    )  # fmt: skip


def track(label: str) -> Track:
    return Track(
        change="new", track_id=1, label=label, score=0.5, state="moving", box=(0, 0, 1, 1),
        box_px=(0, 0, 9, 9), velocity=(0, 0), age_s=0,
    )  # fmt: skip


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


def test_what_is_published_arrives_in_order_with_its_picture(endpoint: str) -> None:
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


def test_topics_are_filtered_and_names_in_them_are_made_safe(endpoint: str) -> None:
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


def test_a_gap_is_told(endpoint: str) -> None:
    heard: list[Gap] = []
    publisher = started(endpoint)
    with Subscriber(endpoint, on_gap=heard.append) as subscriber:
        subscribed(subscriber, publisher)
        publisher.publish(capture(1), 0, 0)
        assert subscriber.receive(2) is not None
        publisher._topic_sequences["capture.cam0.person"] += 3  # as if the queue had dropped three
        publisher.publish(capture(5), 0, 0)
        assert subscriber.receive(2) is not None
    publisher.stop()
    assert [(gap.topic, gap.missing) for gap in heard] == [("capture.cam0.person", 3)]


def test_a_stalled_subscriber_costs_nobody_anything(endpoint: str) -> None:
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


def test_a_second_daemon_on_the_endpoint_is_refused(endpoint: str) -> None:
    publisher = started(endpoint)
    with pytest.raises(BusError, match="another daemon publishes there"):
        started(endpoint)
    publisher.stop()
    started(endpoint).stop()


def test_a_tcp_port_in_use_is_refused() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(BusError, match="in use by another program"):
            started(f"tcp://127.0.0.1:{port}", insecure=True)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("tcp://127.0.0.1:5999", "insecure = true"),
        ("ipc:///nowhere/at/all/e.ipc", "No such file or directory"),
        (f"ipc:///tmp/{'x' * 120}", "107 bytes"),
    ],
)
def test_endpoints_that_can_not_be(endpoint: str, said: str) -> None:
    with pytest.raises(BusError, match=said):
        started(endpoint)


@pytest.mark.parametrize(
    "parts",
    [[], [b"t"], [b"t", b"{}"], [b"t", b"no json"], [b"t", b'{"type":"capture"}'], [b""] * 4],
)
def test_what_is_no_message_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(MessageError):
        decode(parts)


def test_another_schema_version_is_named(endpoint: str) -> None:
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
