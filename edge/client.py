"""What other programs import: a typed subscriber.

from edge.client import Subscriber

with Subscriber("ipc:///tmp/edge-cam0.ipc", topics=["trigger."]) as subscriber:
    for event in subscriber:
        print(event.message.rule, event.message.label, event.message.score)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import zmq
import zmq.asyncio

from edge.errors import BusError
from edge.messages import AnyMessage, decode

DEFAULT_HIGH_WATER_MARK = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """One message as received; `jpeg` where the daemon sent a picture with it."""

    topic: str
    message: AnyMessage
    jpeg: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of one topic that were published and did not arrive here."""

    topic: str
    boot_id: str
    missing: int


class GapCounter:
    """Compares the sequence of each topic; a new boot id begins anew.

    What was published before the first message seen of a topic isn't counted: nobody subscribed.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}
        self.missing = 0

    def note(self, event: Event) -> Gap | None:
        """The gap before this message, if there is one."""
        header = event.message.header
        assert header is not None
        boot_id, last = self._last.get(event.topic, (header.boot_id, header.topic_sequence - 1))
        self._last[event.topic] = (header.boot_id, header.topic_sequence)
        missing = header.topic_sequence - last - 1
        if boot_id != header.boot_id or missing <= 0:
            return None
        self.missing += missing
        return Gap(event.topic, header.boot_id, missing)


class Subscriber:
    """Events of one or more daemons, as an iterator or an asynchronous iterator.

    One object serves one of the two. `gaps.missing` counts what was lost; `on_gap` hears of each
    loss as it is found. Raises BusError for an endpoint that can't be connected, and MessageError
    for a message of another schema.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        topics: Iterable[str] = ("",),
        *,
        on_gap: Callable[[Gap], None] | None = None,
        high_water_mark: int = DEFAULT_HIGH_WATER_MARK,
    ) -> None:
        """`topics` are prefixes; the empty one is everything. Waits for daemons yet to start."""
        self.gaps = GapCounter()
        self._on_gap = on_gap
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, high_water_mark)
        self._socket.set(zmq.LINGER, 0)
        self._async_socket: zmq.asyncio.Socket | None = None
        for topic in topics:
            self._socket.subscribe(topic)
        for endpoint in [endpoints] if isinstance(endpoints, str) else endpoints:
            try:
                self._socket.connect(endpoint)
            except zmq.ZMQError as error:
                self.close()
                raise BusError(f"can't connect to {endpoint}: {error.strerror or error}") from error

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when the time is up."""
        timeout_ms = None if timeout_s is None else round(timeout_s * 1000)
        if not self._socket.poll(timeout_ms):
            return None
        return self._event(self._socket.recv_multipart())

    def __iter__(self) -> Iterator[Event]:
        while (event := self.receive()) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._async_socket = zmq.asyncio.Socket(shadow=self._socket)
        while True:
            yield self._event(await self._async_socket.recv_multipart())

    def close(self) -> None:
        if self._async_socket is not None:
            self._async_socket.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _event(self, parts: list[bytes]) -> Event:
        message, jpeg = decode(parts)
        event = Event(parts[0].decode(), message, jpeg)
        gap = self.gaps.note(event)
        if gap is not None and self._on_gap is not None:
            self._on_gap(gap)
        return event
