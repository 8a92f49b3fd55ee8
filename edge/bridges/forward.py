"""Forwards messages from the bus to a broker, and carries out commands from the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from edge.bridges.homeassistant import discovery_filter
from edge.bridges.retained import Retained
from edge.bridges.scene import Scene
from edge.bridges.spool import Spool
from edge.bridges.states import States
from edge.bridges.topics import Topics
from edge.client import Control, Event, Subscriber
from edge.config.schema import Settings
from edge.errors import ConfigError, EdgeError
from edge.messages import Capture, Crossing, Health, Presence, Stay, Trigger, encode

if TYPE_CHECKING:
    from edge.bridges.mqtt import Broker

IDLE_S: Final = 0.1  # longest delay of a command or a confirmation
BUSY_S: Final = 0.002  # longest wait for a message while the spool has more to send
COMMANDS: Final = ("capture", "pause")
FORWARDED: Final = ("trigger.", "capture.", "count.", "stay.", "presence.", "health.")

log = logging.getLogger(__name__)
MakeControl = Callable[[], Control]


class Forwarder:
    """The bridge of one camera. Call `step` repeatedly, in one thread.

    Triggers, captures, crossings and stays remain in the spool until the broker has confirmed them.
    States are retained: only the newest is sent, again with each new connection.
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
        self._retained = Retained(broker)
        self._states = States(settings, self._retained)
        self._scene = Scene(control, settings.mqtt.scene_width_px)

    def start(self) -> None:
        filters = [*self._topics.filters()]
        if self._settings.mqtt.discovery:
            filters.append(discovery_filter(self._topics, self._settings.mqtt.discovery))
        self._broker.start([self._topics.command(name) for name in COMMANDS], filters)

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
        self._send_states()
        for message in self._spool.take(self._broker.free):
            self._broker.send(message.number, message.topic, message.body)
        for topic, body in self._broker.commands():
            self._command(topic.rpartition("/")[2], body)
        if (jpeg := self._scene.take()) is not None:
            self._retained.put(self._topics.scene, jpeg)

    def _send_states(self) -> None:
        if self._broker.newly_connected():
            self._retained.again()
        for topic in self._broker.found():
            self._retained.found(topic)
        self._states.update()
        self._retained.send()

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
                self._spool.put(self._topics.trigger(message.rule), body)
                self._scene.trigger()
                if event.jpeg:
                    self._retained.put(self._topics.image, event.jpeg)
            case Capture():
                self._spool.put(self._topics.capture(message.rule), body)
            case Crossing():
                self._spool.put(self._topics.count(message.line), body)
            case Stay():
                self._spool.put(self._topics.stay(message.zone), body)
            case Presence():
                self._states.presence(message)
            case Health():
                self._states.health(message, body)

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
        self._states.paused(pause)
        return text
