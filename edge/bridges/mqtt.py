"""A connection to an MQTT broker that is opened again whenever it is lost."""

from __future__ import annotations

import logging
import ssl
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, Final

from edge.config.schema import MqttSettings
from edge.errors import ConfigError, MissingExtraError, PermanentError
from edge.runtime.files import read_regular
from edge.runtime.notify import notify

try:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as missing:
    raise MissingExtraError("the MQTT bridge", "mqtt") from missing

KEEPALIVE_S: Final = 30  # the broker publishes the Last Will after 1.5 times as long
RECONNECT_MAX_S: Final = 30  # longest pause between attempts
WINDOW: Final = 20  # messages sent and not confirmed; also the default limit of paho
STATES: Final = 2 * WINDOW  # retained messages sent and not confirmed
MAX_QUEUED: Final = 10 * WINDOW  # messages that paho holds: these, and results of commands
MAX_COMMANDS: Final = 16  # waiting for the bridge; a person sends one at a time
MAX_FOUND: Final = 4096  # retained messages that await the bridge; a camera has tens of them
MAX_PASSWORD_BYTES: Final = 65_536  # the longest password of MQTT
LAST_MESSAGE_S: Final = 2.0  # longest wait for the confirmation of `offline` at the end
PORT, TLS_PORT = 1883, 8883  # as registered for MQTT
DENIED: Final = ("Not authorized", "Bad user name or password")  # as paho words them

log = logging.getLogger(__name__)


class Broker:
    """Publishes with QoS 1. Messages that a lost connection left unconfirmed are sent again.

    paho's thread uses the network; one other thread calls the methods.
    """

    def __init__(self, settings: MqttSettings, client_id: str, availability: str) -> None:
        """Raises ConfigError for unusable passwords or certificates.

        availability: topic on which the broker publishes `offline` when it loses this client.
        """
        self._settings = settings
        self._availability = availability
        self._connected = threading.Event()
        self._is_new = False
        self._error: str | None = None
        self._away = ""  # why the broker can't be used now, as it was logged last
        self._unconfirmed: dict[int, int] = {}
        self._states: set[int] = set()
        self._confirmed: deque[int] = deque()
        self._received = _Received([], [])
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self._client.will_set(availability, "offline", qos=1, retain=True)
        self._client.max_inflight_messages_set(WINDOW)
        self._client.max_queued_messages_set(MAX_QUEUED)
        self._client.reconnect_delay_set(1, RECONNECT_MAX_S)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._authenticate()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def free(self) -> int:
        """Number of messages that may be sent before one is confirmed; 0 while not connected."""
        return WINDOW - len(self._unconfirmed) if self.connected else 0

    @property
    def room(self) -> int:
        """Number of states that may be sent before one is confirmed; 0 while not connected."""
        return STATES - len(self._states) if self.connected else 0

    def start(self, commands: list[str], states: list[str]) -> None:
        """Connects, and waits in the background for a broker that is not running yet.

        commands: topics to subscribe to. states: filters of the retained messages to find.
        """
        self._received = _Received(commands, states)
        port = self._settings.port or (TLS_PORT if self._settings.tls else PORT)
        self._client.connect_async(self._settings.host, port, KEEPALIVE_S)
        self._client.loop_start()

    def newly_connected(self) -> bool:
        """True once for each new connection. Raises PermanentError if the broker refuses it."""
        if self._error is not None:
            raise PermanentError(self._error)
        is_new, self._is_new = self._is_new, False
        return is_new

    def publish(self, topic: str, body: bytes) -> None:
        """Publishes what is of use only now; drops it while the broker is not connected."""
        if self.connected:
            self._client.publish(topic, body, qos=1)

    def retain(self, topic: str, body: bytes) -> None:
        """Publishes a state, which the broker keeps; an empty body removes it there."""
        self._states.add(self._client.publish(topic, body, qos=1, retain=True).mid)

    def send(self, number: int, topic: str, body: bytes) -> None:
        """Publishes a message that must arrive; `confirmed` will return its number."""
        self._unconfirmed[self._client.publish(topic, body, qos=1).mid] = number

    def confirmed(self) -> list[int]:
        """Numbers of messages that the broker has confirmed since the last call."""
        numbers = []
        while self._confirmed:
            mid = self._confirmed.popleft()
            self._states.discard(mid)
            if (number := self._unconfirmed.pop(mid, None)) is not None:
                numbers.append(number)
        return numbers

    def commands(self) -> list[tuple[str, bytes]]:
        """Topic and body of the commands since the last call: at most the newest 16."""
        waiting = self._received.commands
        return [waiting.popleft() for _ in range(len(waiting))]

    def found(self) -> list[str]:
        """Topics with a retained message, of those that `start` names, since the last call."""
        waiting = self._received.retained
        return [waiting.popleft() for _ in range(len(waiting))]

    def stop(self) -> None:
        """Publishes `offline` and disconnects."""
        if self.connected:
            last = self._client.publish(self._availability, "offline", qos=1, retain=True)
            try:
                last.wait_for_publish(LAST_MESSAGE_S)
            except RuntimeError:  # the connection was lost a moment ago
                log.debug("offline was not published", exc_info=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _authenticate(self) -> None:
        settings = self._settings
        if settings.username:
            password = _password(settings.password_file) if settings.password_file else None
            self._client.username_pw_set(settings.username, password)
        if not settings.tls:
            return
        try:
            self._client.tls_set(
                settings.ca_file or None, settings.cert_file or None, settings.key_file or None
            )
        except (OSError, ssl.SSLError, ValueError) as error:
            names = ", ".join(
                filter(None, (settings.ca_file, settings.cert_file, settings.key_file))
            )
            raise ConfigError(f"mqtt: TLS can't be used with {names}: {error}") from error

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            if str(reason) in DENIED:
                self._error = (
                    f"the broker {self._settings.host} refuses: {reason}; set mqtt.username and "
                    "mqtt.password_file"
                )
            self._is_away(f"it refuses: {reason}")
            return
        for topic in self._received.subscriptions:
            client.subscribe(topic, qos=1)
        self._is_new = True
        self._connected.set()
        self._away = ""
        log.info("connected to the broker %s", self._settings.host)
        notify(f"STATUS=connected to the broker {self._settings.host}")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if self.connected and reason.is_failure:
            self._is_away(f"the connection is lost: {reason}")
        self._connected.clear()

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        """Paho calls it while it handles the error of a connection, which it doesn't pass on."""
        error = sys.exception()
        if isinstance(error, ssl.SSLCertVerificationError):
            self._is_away(f"its certificate is not valid: {error.verify_message}; see mqtt.ca_file")
        elif isinstance(error, ssl.SSLError):
            self._is_away(f"TLS fails: {error.reason or error}; see mqtt.tls and mqtt.port")
        else:
            self._is_away(getattr(error, "strerror", None) or str(error or "no answer"))

    def _is_away(self, reason: str) -> None:
        """Logs why the broker can't be used, once until the reason changes or it is back."""
        if reason == self._away:
            return
        self._away = reason
        place = f"{self._settings.host}:{self._settings.port}"
        sentence = f"the broker {place} can't be used, messages are kept: {reason}"
        log.warning("%s", sentence)
        notify(f"STATUS={sentence}")

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _p: Any) -> None:
        self._confirmed.append(mid)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._received.note(message.topic, bytes(message.payload), retained=message.retain)


class _Received:
    """Commands and the topics of retained messages, as they came from the broker."""

    def __init__(self, commands: list[str], states: list[str]) -> None:
        self.subscriptions = [*commands, *states]
        self.commands: deque[tuple[str, bytes]] = deque(maxlen=MAX_COMMANDS)
        self.retained: deque[str] = deque(maxlen=MAX_FOUND)
        self._names = frozenset(commands)

    def note(self, topic: str, body: bytes, *, retained: bool) -> None:
        """A retained command is ignored, as it would be repeated with each connection."""
        if topic in self._names:
            if not retained:
                self.commands.append((topic, body))
        elif retained and body:
            self.retained.append(topic)


def _password(name: str) -> str:
    """The file's first line. Raises ConfigError, also for a file that every user can read."""
    path = Path(name)
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(f"{path}: every user can read this password: chmod 640 {path}")
        return read_regular(path, MAX_PASSWORD_BYTES, follow_link=True).decode().splitlines()[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file: {error}") from error
    except IndexError as error:
        raise ConfigError(f"mqtt.password_file: {path} is empty") from error
