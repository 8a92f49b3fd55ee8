"""Forwards messages from the bus to a broker, and carries out commands from the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from edge.bridges.homeassistant import entities
from edge.bridges.spool import Spool
from edge.bridges.topics import Topics
from edge.client import Control, Event, Subscriber
from edge.config.schema import Settings
from edge.errors import ConfigError, EdgeError
from edge.messages import Capture, Health, Trigger, encode

if TYPE_CHECKING:
    from edge.bridges.mqtt import Broker

IDLE_S: Final = 0.1  # longest delay of a command or a confirmation
BUSY_S: Final = 0.002  # longest wait for a message while the spool has more to send
MISSED_INTERVALS: Final = 3  # of health, until a daemon counts as offline
MIN_PATIENCE_S: Final = 1.0  # for short intervals, of which a busy machine may miss several
MAX_RULES: Final = 256  # announced; a configuration has a few
COMMANDS: Final = ("capture", "pause")
FORWARDED: Final = ("trigger.", "capture.", "health.")

log = logging.getLogger(__name__)
MakeControl = Callable[[], Control]


class Availability:
    """Whether the daemon is online: it sends health messages, and the last is not `stopping`."""

    def __init__(self, interval_s: float) -> None:
        """interval_s: of the health messages."""
        self._patience_s = max(MISSED_INTERVALS * interval_s, MIN_PATIENCE_S)
        self._health_s = 0.0  # monotonic time of the last message
        self._stopping = True  # also before the first message
        self._published: bool | None = None

    def note(self, health: Health) -> None:
        self._health_s, self._stopping = time.monotonic(), health.state == "stopping"

    def publish_again(self) -> None:
        """Makes `change` return the availability again; call it when the broker may not know it."""
        self._published = None

    def change(self) -> str | None:
        """Returns `online` or `offline` if that must be published; otherwise None."""
        online = not self._stopping and time.monotonic() - self._health_s <= self._patience_s
        if online is self._published:
            return None
        self._published = online
        return "online" if online else "offline"


class Forwarder:
    """The bridge of one camera. Call `step` repeatedly, in one thread.

    Triggers and captures stay in the spool until the broker has confirmed them. Other messages
    (health, occupancy, picture, availability) describe the present only, and are dropped while the
    broker is not connected.
    """

    def __init__(
        self,
        settings: Settings,
        subscriber: Subscriber,
        broker: Broker,
        spool: Spool,
        control: MakeControl,
    ) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._broker = broker
        self._spool = spool
        self._control = control
        self._topics = Topics(settings.mqtt.prefix, settings.camera)
        self._rules = tuple(rule.name for rule in settings.triggers)
        self._availability = Availability(settings.health.interval_s)

    def start(self) -> None:
        self._broker.start([self._topics.command(name) for name in COMMANDS])

    def step(self) -> None:
        """Waits up to 0.1 s for a message, and forwards everything that is due.

        Raises PermanentError if the broker refuses the connection or the camera is another one.
        """
        busy = self._broker.free and self._spool.has_more
        event = self._subscriber.receive(BUSY_S if busy else IDLE_S)
        if event is not None:
            self._forward(event)
        for number in self._broker.confirmed():
            self._spool.done(number)
        if self._broker.newly_connected():
            self._announce()
        self._publish_availability()
        for message in self._spool.take(self._broker.free):
            self._broker.send(message.number, message.topic, message.body)
        for topic, body in self._broker.commands():
            self._command(topic.rpartition("/")[2], body)

    def _forward(self, event: Event) -> None:
        message = event.message
        assert message.header is not None
        if message.header.camera != self._settings.camera:
            raise ConfigError(
                f"the daemon's camera is {message.header.camera}, but the configuration names "
                f"{self._settings.camera}: give both programs the same configuration"
            )
        body = encode(message)[1]
        match message:
            case Trigger():
                self._forward_trigger(message, body, event.jpeg)
            case Capture():
                self._spool.put(self._topics.capture(message.rule), body)
            case Health():
                self._availability.note(message)
                self._broker.publish(self._topics.health, body, retain=True)
                self._publish_paused(message.paused)

    def _forward_trigger(self, message: Trigger, body: bytes, jpeg: bytes | None) -> None:
        self._spool.put(self._topics.trigger(message.rule), body)
        if message.rule not in self._rules and len(self._rules) < MAX_RULES:  # a new configuration
            self._rules += (message.rule,)
            self._announce()
        self._broker.publish(self._topics.occupancy(message.rule), "ON")
        if jpeg:
            self._broker.publish(self._topics.image, jpeg, retain=True)

    def _announce(self) -> None:
        """Publishes the entities for Home Assistant; the next step publishes the availability."""
        self._availability.publish_again()
        mqtt = self._settings.mqtt
        if mqtt.discovery:
            for topic, entity in entities(
                self._topics, self._rules, mqtt.off_delay_s, mqtt.discovery
            ):
                self._broker.publish(topic, msgspec.json.encode(entity), retain=True)

    def _publish_availability(self) -> None:
        if self._broker.connected and (state := self._availability.change()) is not None:
            self._broker.publish(self._topics.availability, state, retain=True)

    def _publish_paused(self, paused: bool) -> None:
        self._broker.publish(self._topics.paused, "ON" if paused else "OFF", retain=True)

    def _command(self, name: str, body: bytes) -> None:
        """Carries out a command and publishes its result on the topic `result`."""
        try:
            with self._control() as control:
                text = self._carry_out(control, name, body)
            result = {"command": name, "ok": True, "text": text}
        except EdgeError as error:
            log.warning("%s: %s", name, error)
            result = {"command": name, "ok": False, "text": str(error)}
        self._broker.publish(self._topics.result, msgspec.json.encode(result))

    def _carry_out(self, control: Control, name: str, body: bytes) -> str:
        """Returns the result as a text for a person. Raises EdgeError."""
        if name == "capture":
            reply = control.capture()
            return f"capturing {' and '.join(reply.captures)}, event {reply.event_id}"
        pause = body.strip().upper() == b"ON"
        text = (control.pause() if pause else control.resume()).text
        self._publish_paused(pause)
        return text
