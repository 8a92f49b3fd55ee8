"""The retained messages of one camera at a broker."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.bridges.mqtt import Broker


class Retained:
    """Publishes states when they change, and all of them again with each new connection.

    A broker may lose its retained messages, or keep some of a rule that is deleted: `expect`
    decides which topics there may be. Messages are sent a few at a time, as the client's queue is
    bounded, and only the newest of a topic.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._bodies: dict[str, bytes] = {}
        self._expected: frozenset[str] = frozenset()
        self._pending: dict[str, None] = {}  # topics to send, in order

    def expect(self, topics: Collection[str]) -> None:
        """Allows exactly these topics. Others that were published are emptied."""
        self._expected = frozenset(topics)
        for topic in self._bodies.keys() - self._expected:
            del self._bodies[topic]
            self._pending[topic] = None

    def put(self, topic: str, body: bytes) -> None:
        """The state of an expected topic."""
        if self._bodies.get(topic) != body:
            self._bodies[topic] = body
            self._pending[topic] = None

    def found(self, topic: str) -> None:
        """The broker has a retained message of this camera, perhaps from an earlier time."""
        if topic not in self._expected:
            self._pending[topic] = None

    def again(self) -> None:
        """Sends all states; call it when the broker may not have them."""
        self._pending |= dict.fromkeys(self._bodies)

    def send(self) -> None:
        """Sends what is due, as far as the broker has room for it."""
        while self._pending and self._broker.room:
            topic = next(iter(self._pending))
            del self._pending[topic]
            # An empty body removes the retained message.
            self._broker.retain(topic, self._bodies.get(topic, b""))
