"""The interface for other programs: a typed subscriber and a control client.

from edge.client import Subscriber

with Subscriber("ipc:///tmp/edge-cam0.ipc", topics=["trigger."]) as subscriber:
    for event in subscriber:
        print(event.message.rule, event.message.label, event.message.score)

docs/client.md describes reconnection, gaps, keys and compatibility.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

import zmq
import zmq.asyncio

from edge.bus.endpoint import keep_alive
from edge.bus.keys import Certificate, ClientKeys, Socket
from edge.errors import BusError, PermanentError, TemporaryError
from edge.messages import (
    AnyCommand,
    AnyMessage,
    AnyReply,
    CaptureCommand,
    CaptureKind,
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

__all__ = [
    "DEFAULT_HIGH_WATER_MARK",
    "BusError",
    "CaptureKind",
    "Certificate",
    "ClientKeys",
    "CommandError",
    "Control",
    "Event",
    "Gap",
    "GapCounter",
    "MessageError",
    "NoAnswerError",
    "Subscriber",
]

DEFAULT_HIGH_WATER_MARK: Final = 10_000
MAX_PART_BYTES: Final = 32 * 1024 * 1024  # a part; the largest is a picture of 8192 pixels width
MAX_TOPICS: Final = 4096  # counted at a time; a daemon has tens, and a false one any number
WARNED_CAUSES: Final = 32  # bounds the log: a faulty publisher may send any number of kinds

log = logging.getLogger(__name__)
_R = TypeVar("_R", bound=AnyReply)


class CommandError(PermanentError):
    """The daemon did not do the command. Its text is the reason, in one sentence.

    code: `malformed`, `too_many`, `refused` or `failed`; see `edge.messages.FailureReply`.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class NoAnswerError(TemporaryError):
    """No reply came in time: there is no daemon at the endpoint, or it doesn't allow this key."""


@dataclass(frozen=True, slots=True)
class Event:
    """One received message. jpeg: the picture that was sent with it, if any."""

    topic: str
    message: AnyMessage
    jpeg: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """`missing` messages of one topic that were published and were not received here."""

    topic: str
    boot_id: str
    missing: int


@dataclass(slots=True)
class _Newest:
    """The newest `topic_sequence` of one topic, and the newest that was not repeated; 0: none."""

    boot_id: str
    any: int = 0
    live: int = 0


class GapCounter:
    """Finds gaps in the sequence of each topic; a new boot id starts the sequence again.

    Messages published before the first one received of a topic are not counted. Repeats for new
    subscribers neither fill a gap nor make one. `missing` is the sum of all gaps. Only the newest
    4096 topics are remembered.
    """

    def __init__(self) -> None:
        self._topics: OrderedDict[str, _Newest] = OrderedDict()
        self.missing = 0

    def is_known(self, event: Event) -> bool:
        """Whether it repeats, for another subscriber, a message that was received here before."""
        header = _header(event)
        newest = self._topics.get(event.topic)
        return (
            header.repeated
            and newest is not None
            and newest.boot_id == header.boot_id
            and header.topic_sequence <= newest.any
        )

    def note(self, event: Event) -> Gap | None:
        """Counts a received message; returns the gap before it, if there is one."""
        header = _header(event)
        newest = self._topics.get(event.topic)
        if newest is None or newest.boot_id != header.boot_id:
            newest = self._topics[event.topic] = _Newest(header.boot_id)
        self._topics.move_to_end(event.topic)
        if len(self._topics) > MAX_TOPICS:
            self._topics.popitem(last=False)
        newest.any = max(newest.any, header.topic_sequence)
        if header.repeated:
            return None
        last, newest.live = newest.live, header.topic_sequence
        missing = header.topic_sequence - last - 1
        if not last or missing <= 0:
            return None
        self.missing += missing
        return Gap(event.topic, header.boot_id, missing)


class Subscriber:
    """The messages of one or more daemons, as an iterator or an asynchronous iterator.

    Connects in the background, waits for daemons that are not running yet, and connects again after
    a daemon restarts. The first messages from a running daemon are its last health and its open
    tracks, with `message.header.repeated` true. Use only one of the two iterators of
    an object, in one thread.

    gaps: `gaps.missing` counts lost messages. unreadable: number of messages that were skipped,
    because they are of another schema version, of an unknown kind or damaged.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        topics: Iterable[str] = ("",),
        *,
        keys: ClientKeys | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        on_unreadable: Callable[[MessageError], None] | None = None,
        high_water_mark: int = DEFAULT_HIGH_WATER_MARK,
    ) -> None:
        """Subscribes. Raises BusError for an endpoint that can't be connected.

        endpoints: `bus.endpoint` of each daemon. topics: prefixes; the empty one matches all.
        keys: for `tcp://` endpoints of daemons with `bus.keys`.
        on_gap: called with each gap when it is found.
        on_unreadable: called with the reason for each message that is skipped.
        high_water_mark: messages that wait here for the program; later ones are lost.
        """
        self.gaps = GapCounter()
        self.unreadable = 0
        self._warned: set[str] = set()
        self._on_gap = on_gap
        self._on_unreadable = on_unreadable
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, high_water_mark)
        self._socket.set(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        self._socket.set(zmq.LINGER, 0)
        self._async_socket: zmq.asyncio.Socket | None = None
        try:
            for topic in topics:
                self._socket.subscribe(topic.encode(errors="surrogateescape"))
            _connect(self._socket, [endpoints] if isinstance(endpoints, str) else endpoints, keys)
        except BusError:
            self.close()
            raise

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when none came within `timeout_s`. Without a timeout, waits."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_ms = None if end_s is None else max(0, round((end_s - time.monotonic()) * 1000))
            if not self._socket.poll(left_ms):
                return None
            if event := self._event(self._socket.recv_multipart()):
                return event
            if end_s is not None and time.monotonic() > end_s:  # only unreadable ones came
                return None

    def __iter__(self) -> Iterator[Event]:
        while (event := self.receive()) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._async_socket = zmq.asyncio.Socket(shadow=self._socket)
        while True:
            if event := self._event(await self._async_socket.recv_multipart()):
                yield event

    def close(self) -> None:
        """Disconnects. The `with` statement does it too."""
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
        """None for a message that can't be read or was received before."""
        try:
            message, jpeg = decode(parts)
        except MessageError as error:
            self._skip(error)
            return None
        event = Event(parts[0].decode(), message, jpeg)
        if self.gaps.is_known(event):
            return None
        gap = self.gaps.note(event)
        if gap is not None and self._on_gap is not None:
            self._on_gap(gap)
        return event

    def _skip(self, error: MessageError) -> None:
        """Counts the message; warns once for each schema version and each unknown kind."""
        self.unreadable += 1
        if error.cause not in self._warned and len(self._warned) < WARNED_CAUSES:
            self._warned.add(error.cause)
            log.warning("skipping messages: %s", error)
        if self._on_unreadable is not None:
            self._on_unreadable(error)


class Control:
    """Sends commands to one daemon, one at a time. Not thread-safe.

    Each method returns the daemon's reply. It raises CommandError when the daemon doesn't do the
    command, NoAnswerError when no reply comes in time (the command may have been done), and
    MessageError for a reply of another schema version.
    """

    def __init__(
        self, endpoint: str, *, keys: ClientKeys | None = None, timeout_s: float = 10.0
    ) -> None:
        """Connects in the background. Raises BusError for an endpoint that can't be connected.

        endpoint: the daemon's `bus.control`. keys: as for `Subscriber`. timeout_s: for each reply.
        """
        self._endpoint = endpoint
        self._timeout_ms = round(timeout_s * 1000)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        self._socket.set(zmq.REQ_RELAXED, 1)  # the next command may follow one without a reply
        self._socket.set(zmq.REQ_CORRELATE, 1)  # and a late reply is ignored
        try:
            _connect(self._socket, [endpoint], keys)
        except BusError:
            self.close()
            raise

    def status(self) -> StatusReply:
        """The daemon's state and its last health message."""
        return self._request(StatusCommand(), StatusReply)[0]

    def capture(self, *captures: CaptureKind) -> CaptureReply:
        """Captures now: "still", "clip" or both; without arguments, a still.

        Returns when the captures have begun. One `capture` message follows for each.
        """
        return self._request(CaptureCommand(captures=captures or ("still",)), CaptureReply)[0]

    def pause(self, duration_s: float | None = None) -> DoneReply:
        """Stops analysis and triggers until `resume`, or for `duration_s` (at most 7 days)."""
        return self._request(PauseCommand(duration_s=duration_s), DoneReply)[0]

    def resume(self) -> DoneReply:
        """Ends a pause."""
        return self._request(ResumeCommand(), DoneReply)[0]

    def reload(self) -> DoneReply:
        """Reads the configuration again; an invalid one is refused and changes nothing."""
        return self._request(ReloadCommand(), DoneReply)[0]

    def snapshot(
        self, max_width_px: int = 1280, *, sight: bool = False, trigger: bool = False
    ) -> tuple[SnapshotReply, bytes]:
        """The present picture as a JPEG, at most `max_width_px` (64 to 8192) wide.

        sight: also the pipeline's view of it, in `reply.sight`; None there in a pause.
        trigger: instead, the picture of the last trigger with a box around the object.
        """
        command = SnapshotCommand(max_width_px=max_width_px, sight=sight, trigger=trigger)
        reply, jpeg = self._request(command, SnapshotReply)
        return reply, jpeg or b""

    def close(self) -> None:
        """Disconnects. The `with` statement does it too."""
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

    def _request(self, command: AnyCommand, kind: type[_R]) -> tuple[_R, bytes | None]:
        try:
            self._socket.send(encode_command(command), zmq.NOBLOCK)
            answered = bool(self._socket.poll(self._timeout_ms))
        except zmq.Again:  # never connected, and the last command still waits to be sent
            answered = False
        if not answered:
            keys = "" if self._endpoint.startswith("ipc://") else ", or it doesn't allow your key"
            raise NoAnswerError(
                f"no answer from {self._endpoint} within {self._timeout_ms / 1000:g} s: no daemon "
                f"takes commands there{keys}"
            )
        reply, jpeg = decode_reply(self._socket.recv_multipart())
        if isinstance(reply, FailureReply):
            raise CommandError(reply.code, reply.text)
        if not isinstance(reply, kind):
            raise MessageError(f"{type(reply).__name__} doesn't answer {type(command).__name__}")
        return reply, jpeg


def _connect(socket: Socket, endpoints: Iterable[str], keys: ClientKeys | None) -> None:
    """Connects `tcp://` last, since keys apply to all connections made after they are set."""
    keep_alive(socket)
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.startswith("tcp://")):
        if keys is not None and endpoint.startswith("tcp://"):
            keys.apply(socket)
        if "\0" in endpoint:
            raise BusError(f"can't connect to {endpoint!r}: an endpoint has no NUL character")
        try:
            socket.connect(endpoint.replace("tcp://*:", "tcp://127.0.0.1:"))
        except (zmq.ZMQError, ValueError, TypeError) as error:  # a NUL, half a surrogate pair
            reason = getattr(error, "strerror", None) or error
            raise BusError(f"can't connect to {endpoint}: {reason}") from error


def _header(event: Event) -> Header:
    assert event.message.header is not None  # `decode` refuses a message without it
    return event.message.header
