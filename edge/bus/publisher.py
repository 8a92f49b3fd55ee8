"""Publishes messages: `publish` never waits, and one thread sends.

A slow subscriber fills its own high-water mark and loses its own messages.

A new subscriber is sent the last health and the open tracks again, each as it was published except
for `repeated`. ZeroMQ sends a message to all subscribers of its topic, so that others receive it a
second time; they recognise it by its sequence.
"""

from __future__ import annotations

import time
from typing import Final

import zmq

from edge.bus.endpoint import BoundSocket, Report, log
from edge.bus.outbox import Outbox
from edge.bus.socket_thread import SocketThread
from edge.config.schema import BusSettings
from edge.messages import M, encode

IDLE_MS: Final = 1000
MAX_SUBSCRIPTION_BYTES: Final = 1024  # the longest topic has three names of a configuration
MAX_SUBSCRIPTIONS: Final = 1000  # read before the next message is sent
REPEAT_EVERY_S: Final = 0.1  # shortest time between two sets of repeats
STOP_S: Final = 5.0  # for the thread to send what is queued, besides `linger_ms`


class Publisher:
    """An XPUB socket that sends the messages of an `Outbox`."""

    def __init__(
        self, settings: BusSettings, camera: str, boot_id: str, report: Report = log.warning
    ) -> None:
        """report: receives a sentence for each problem of the socket."""
        self._settings = settings
        self._report = report
        self._outbox = Outbox(camera, boot_id)
        self._joined: set[bytes] = set()  # topics subscribed to since the last repeats
        self._repeat_due_s = 0.0
        self._thread: SocketThread | None = None

    def start(self) -> None:
        """Binds and starts the thread. Raises BusError with one sentence."""
        bound = BoundSocket(
            self._settings, "endpoint", zmq.XPUB, MAX_SUBSCRIPTION_BYTES, self._report
        )
        bound.socket.set(zmq.SNDHWM, self._settings.high_water_mark)
        bound.socket.set(zmq.XPUB_VERBOSE, 1)  # reports each subscriber of a topic
        bound.open()
        self._thread = SocketThread("publisher", bound, self._run)

    def publish(self, message: M, timestamp_ns: int, wall_ns: int, jpeg: bytes | None = None) -> M:
        """Never waits; callable from any thread. The times are those of the exposure.

        Returns the message with its header, as it will be sent.
        """
        message = self._outbox.put(message, timestamp_ns, wall_ns, jpeg)
        if self._thread is not None:
            self._thread.bound.wake()
        return message

    @property
    def published(self) -> int:
        """Number of messages given to `publish` so far."""
        return self._outbox.published

    @property
    def dropped(self) -> int:
        """Number of messages that the full queue dropped."""
        return self._outbox.dropped

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread early."""
        return self._thread.error if self._thread is not None else None

    def behind_s(self) -> float:
        """How long messages have waited without one being sent; 0 if none waits."""
        return self._outbox.behind_s()

    def stop(self) -> None:
        """Sends what is queued, waits up to `linger_ms` for subscribers, and unbinds.

        Raises StuckThreadError if the thread does not end; its socket stays open then.
        """
        if self._thread is not None:
            self._thread.stop(self._settings.linger_ms / 1000 + STOP_S)

    def _run(self, thread: SocketThread) -> None:
        bound = thread.bound
        while not thread.stopping:
            waiting = self._joined or bound.settling
            if bound.wait(round(REPEAT_EVERY_S * 1000) if waiting else IDLE_MS):
                self._read_subscriptions(bound.socket)
            if not bound.settling:
                self._send_queued(bound.socket)
                self._repeat(bound.socket)
        self._send_queued(bound.socket)

    def _send_queued(self, socket: zmq.Socket[bytes]) -> None:
        while (entry := self._outbox.take()) is not None:
            socket.send_multipart(encode(*entry))

    def _read_subscriptions(self, socket: zmq.Socket[bytes]) -> None:
        """Notes new subscriptions: on the wire, a byte 1 before the topic."""
        for _ in range(MAX_SUBSCRIPTIONS):
            try:
                request = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if request[:1] == b"\x01":
                self._joined.add(request[1:])
        if len(self._joined) > MAX_SUBSCRIPTIONS:
            self._joined = {b""}

    def _repeat(self, socket: zmq.Socket[bytes]) -> None:
        if not self._joined or time.monotonic() < self._repeat_due_s:
            return
        self._repeat_due_s = time.monotonic() + REPEAT_EVERY_S
        repeats = self._outbox.repeats(self._joined)
        self._joined.clear()
        for message in repeats:
            socket.send_multipart(encode(message))
