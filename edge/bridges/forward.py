"""From the bus to a broker, and commands the other way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

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

IDLE_S = 0.1
BUSY_S = 0.002
QUIET_INTERVALS = 3  # without health for so many, the daemon counts as gone
COMMANDS = ("capture", "pause")
FORWARDED = ("trigger.", "capture.", "health.")

log = logging.getLogger(__name__)
MakeControl = Callable[[], Control]


class Forwarder:
    """One camera's bridge. All in one thread: call `step` again and again.

    Triggers and captures are spooled and leave the spool when the broker has confirmed them; the
    rest (health, occupancy, picture, availability) is of the moment and lost while it is away.
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
        self._sent = 0  # the newest that was given to the broker
        self._heard_s = 0.0  # of the daemon's last health
        self._stopping = True  # the daemon, as far as is known
        self._available: bool | None = None

    def start(self) -> None:
        self._broker.start([self._topics.command(name) for name in COMMANDS])

    def step(self) -> None:
        """Waits 0.1 s at most for something to do. Raises EdgeError for what can't be mended."""
        busy = self._broker.free and self._spool.after(self._sent, 1)
        event = self._subscriber.receive(BUSY_S if busy else IDLE_S)
        if event is not None:
            self._hear(event)
        for number in self._broker.confirmed():
            self._spool.done(number)
        if self._broker.connected_anew():
            self._introduce()
        self._tell_availability()
        for kept in self._spool.after(self._sent, self._broker.free):
            self._broker.send(kept.id, kept.topic, kept.body)
            self._sent = kept.id
        for topic, body in self._broker.commands():
            self._command(topic.rpartition("/")[2], body)

    def _hear(self, event: Event) -> None:
        message = event.message
        assert message.header is not None
        if message.header.camera != self._settings.camera:
            raise ConfigError(
                f"the daemon is the camera {message.header.camera}, and the configuration says "
                f"{self._settings.camera}: give both the same file"
            )
        body = encode(message)[1]
        match message:
            case Trigger():
                self._spool.put(self._topics.trigger(message.rule), body)
                if message.rule not in self._rules:  # the daemon has a newer configuration
                    self._rules += (message.rule,)
                    self._introduce()
                self._broker.tell(self._topics.occupancy(message.rule), "ON")
                if event.jpeg:
                    self._broker.tell(self._topics.image, event.jpeg, retain=True)
            case Capture():
                self._spool.put(self._topics.capture(message.rule), body)
            case Health():
                self._heard_s, self._stopping = time.monotonic(), message.state == "stopping"
                self._broker.tell(self._topics.health, body, retain=True)
                self._tell_paused(message.paused)

    def _introduce(self) -> None:
        self._available = None
        mqtt = self._settings.mqtt
        if mqtt.discovery:
            for topic, entity in entities(
                self._topics, self._rules, mqtt.off_delay_s, mqtt.discovery
            ):
                self._broker.tell(topic, msgspec.json.encode(entity), retain=True)

    def _tell_availability(self) -> None:
        """Online is a daemon that is heard of, and not only this bridge."""
        patience_s = max(QUIET_INTERVALS * self._settings.health.interval_s, 1.0)
        quiet = time.monotonic() - self._heard_s > patience_s
        available = not self._stopping and not quiet
        if available is not self._available and self._broker.connected:
            self._available = available
            word = "online" if available else "offline"
            self._broker.tell(self._topics.availability, word, retain=True)

    def _tell_paused(self, paused: bool) -> None:
        self._broker.tell(self._topics.paused, "ON" if paused else "OFF", retain=True)

    def _command(self, name: str, body: bytes) -> None:
        """Says what came of it on the topic `result`."""
        try:
            with self._control() as control:
                text = self._done(control, name, body)
            result = {"command": name, "ok": True, "text": text}
        except EdgeError as error:
            log.warning("%s: %s", name, error)
            result = {"command": name, "ok": False, "text": str(error)}
        self._broker.tell(self._topics.result, msgspec.json.encode(result))

    def _done(self, control: Control, name: str, body: bytes) -> str:
        if name == "capture":
            reply = control.capture()
            return f"capturing {' and '.join(reply.captures)}, event {reply.event_id}"
        pause = body.strip().upper() == b"ON"
        text = (control.pause() if pause else control.resume()).text
        self._tell_paused(pause)
        return text
