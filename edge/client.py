"""What other programs import: a typed subscriber and a control client.

from edge.client import Subscriber

with Subscriber("ipc:///tmp/edge-cam0.ipc", topics=["trigger."]) as subscriber:
    for event in subscriber:
        print(event.message.rule, event.message.label, event.message.score)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeVar

import zmq
import zmq.asyncio

from edge.bus.door import keep_alive
from edge.bus.keys import ClientKeys, Socket
from edge.errors import BusError, PermanentError, TemporaryError
from edge.messages import (
    AnyCommand,
    AnyMessage,
    AnyReply,
    CaptureCommand,
    CaptureReply,
    DoneReply,
    FailureReply,
    Header,
    MessageError,
    PauseCommand,
    ReloadCommand,
    ResumeCommand,
    SnapshotCommand,
    SnapshotReply,
    StatusCommand,
    StatusReply,
    decode,
    decode_reply,
    encode_command,
)

DEFAULT_HIGH_WATER_MARK = 10_000

R = TypeVar("R", bound=AnyReply)


class CommandError(PermanentError):
    """The daemon did nothing; `code` says why, as `edge.messages.FailureReply` explains."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class NoAnswerError(TemporaryError):
    """No daemon there, or none that lets this client in."""


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


@dataclass(slots=True)
class _Heard:
    """Of one topic: the newest message, and the newest that was no repeat (0 = none yet)."""

    boot_id: str
    newest: int = 0
    newest_live: int = 0


class GapCounter:
    """Compares the sequence of each topic; a new boot id begins anew.

    What was published before the first message seen of a topic isn't counted: nobody subscribed.
    Repeats for late joiners fill no gap and make none.
    """

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self.missing = 0

    def is_known(self, event: Event) -> bool:
        """Whether it is a repeat, made for another subscriber, of what came here already."""
        header = _header(event)
        heard = self._heard.get(event.topic)
        return (
            header.repeated
            and heard is not None
            and heard.boot_id == header.boot_id
            and header.topic_sequence <= heard.newest
        )

    def note(self, event: Event) -> Gap | None:
        """The gap before this message, if there is one."""
        header = _header(event)
        heard = self._heard.get(event.topic)
        if heard is None or heard.boot_id != header.boot_id:
            heard = self._heard[event.topic] = _Heard(header.boot_id)
        heard.newest = max(heard.newest, header.topic_sequence)
        if header.repeated:
            return None
        last, heard.newest_live = heard.newest_live, header.topic_sequence
        missing = header.topic_sequence - last - 1
        if not last or missing <= 0:
            return None
        self.missing += missing
        return Gap(event.topic, header.boot_id, missing)


class Subscriber:
    """Events of one or more daemons, as an iterator or an asynchronous iterator.

    The first are the last health and the open tracks, with `message.header.repeated`, of daemons
    that run already. One object serves one of the two iterators. `gaps.missing` counts what was
    lost; `on_gap` hears of each loss as it is found. Raises BusError for an endpoint that can't be
    connected, and MessageError for a message of another schema.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        topics: Iterable[str] = ("",),
        *,
        keys: ClientKeys | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        high_water_mark: int = DEFAULT_HIGH_WATER_MARK,
    ) -> None:
        """`topics` are prefixes; the empty one is everything. Waits for daemons yet to start.

        keys: for `tcp://` endpoints of daemons that have `bus.keys`.
        """
        self.gaps = GapCounter()
        self._on_gap = on_gap
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, high_water_mark)
        self._socket.set(zmq.LINGER, 0)
        self._async_socket: zmq.asyncio.Socket | None = None
        for topic in topics:
            self._socket.subscribe(topic)
        try:
            _connect(self._socket, [endpoints] if isinstance(endpoints, str) else endpoints, keys)
        except BusError:
            self.close()
            raise

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when the time is up."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_ms = None if end_s is None else max(0, round((end_s - time.monotonic()) * 1000))
            if not self._socket.poll(left_ms):
                return None
            if event := self._event(self._socket.recv_multipart()):
                return event

    def __iter__(self) -> Iterator[Event]:
        while (event := self.receive()) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._async_socket = zmq.asyncio.Socket(shadow=self._socket)
        while True:
            if event := self._event(await self._async_socket.recv_multipart()):
                yield event

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

    def _event(self, parts: list[bytes]) -> Event | None:
        """None for what came already."""
        message, jpeg = decode(parts)
        event = Event(parts[0].decode(), message, jpeg)
        if self.gaps.is_known(event):
            return None
        gap = self.gaps.note(event)
        if gap is not None and self._on_gap is not None:
            self._on_gap(gap)
        return event


class Control:
    """Commands to a daemon, one after the other. Not thread-safe.

    Each method raises CommandError where the daemon refuses, NoAnswerError where none answers in
    time (whether it acted isn't known then), and MessageError for a reply of another schema.
    """

    def __init__(
        self, endpoint: str, *, keys: ClientKeys | None = None, timeout_s: float = 10.0
    ) -> None:
        """endpoint: the daemon's `bus.control`. Raises BusError if it can't be one."""
        self._endpoint = endpoint
        self._timeout_ms = round(timeout_s * 1000)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.REQ_RELAXED, 1)  # after a command without answer, the next can be sent
        self._socket.set(zmq.REQ_CORRELATE, 1)  # and isn't answered by what comes late
        try:
            _connect(self._socket, [endpoint], keys)
        except BusError:
            self.close()
            raise

    def status(self) -> StatusReply:
        return self._ask(StatusCommand(), StatusReply)[0]

    def capture(self, *captures: Literal["still", "clip"]) -> CaptureReply:
        """Captures now; without arguments, a still."""
        return self._ask(CaptureCommand(captures=captures or ("still",)), CaptureReply)[0]

    def pause(self, duration_s: float | None = None) -> DoneReply:
        """Until `resume`, or for so long."""
        return self._ask(PauseCommand(duration_s=duration_s), DoneReply)[0]

    def resume(self) -> DoneReply:
        return self._ask(ResumeCommand(), DoneReply)[0]

    def reload(self) -> DoneReply:
        return self._ask(ReloadCommand(), DoneReply)[0]

    def snapshot(
        self, max_width_px: int = 1280, *, sight: bool = False
    ) -> tuple[SnapshotReply, bytes]:
        """The picture as it is now, with its JPEG, and with `sight` what the pipeline saw in it."""
        command = SnapshotCommand(max_width_px=max_width_px, sight=sight)
        reply, jpeg = self._ask(command, SnapshotReply)
        return reply, jpeg or b""

    def close(self) -> None:
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

    def _ask(self, command: AnyCommand, kind: type[R]) -> tuple[R, bytes | None]:
        try:
            self._socket.send(encode_command(command), zmq.NOBLOCK)
            answered = bool(self._socket.poll(self._timeout_ms))
        except zmq.Again:  # never connected, and the last command still waits to be sent
            answered = False
        if not answered:
            raise NoAnswerError(
                f"no answer from {self._endpoint} within {self._timeout_ms / 1000:g} s: no daemon "
                "takes commands there, or it doesn't allow your key"
            )
        reply, jpeg = decode_reply(self._socket.recv_multipart())
        if isinstance(reply, FailureReply):
            raise CommandError(reply.code, reply.text)
        if not isinstance(reply, kind):
            raise MessageError(f"{type(reply).__name__} is no answer to {type(command).__name__}")
        return reply, jpeg


def _connect(socket: Socket, endpoints: Iterable[str], keys: ClientKeys | None) -> None:
    """Those of TCP last: keys hold for every connection made after they are set."""
    keep_alive(socket)
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.startswith("tcp://")):
        if keys is not None and endpoint.startswith("tcp://"):
            keys.apply(socket)
        try:
            socket.connect(endpoint.replace("tcp://*:", "tcp://127.0.0.1:"))
        except zmq.ZMQError as error:
            raise BusError(f"can't connect to {endpoint}: {error.strerror or error}") from error


def _header(event: Event) -> Header:
    assert event.message.header is not None  # `decode` takes none without
    return event.message.header
