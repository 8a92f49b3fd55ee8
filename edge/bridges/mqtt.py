"""A connection to an MQTT broker that is made again whenever it is lost."""

from __future__ import annotations

import logging
import ssl
import threading
from collections import deque
from pathlib import Path
from typing import Any

from edge.config.schema import MqttSettings
from edge.errors import ConfigError, MissingExtraError, PermanentError

try:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as missing:
    raise MissingExtraError("the MQTT bridge", "mqtt") from missing

KEEPALIVE_S = 30
RECONNECT_MAX_S = 30
WINDOW = 20  # messages under way to the broker; paho sends no more at a time either
MAX_COMMANDS = 16
GOODBYE_S = 2.0
DENIED = ("Not authorized", "Bad user name or password")

log = logging.getLogger(__name__)


class Broker:
    """Everything is QoS 1. paho's thread does the network; one other thread calls the methods.

    What is sent before the connection is lost is sent again after it is back.
    """

    def __init__(self, settings: MqttSettings, client_id: str, availability: str) -> None:
        """availability: where the broker says `offline`, retained, when this client is lost.

        Raises ConfigError.
        """
        self._settings = settings
        self._availability = availability
        self._connected = threading.Event()
        self._anew = False
        self._error: str | None = None
        self._under_way: dict[int, int] = {}
        self._confirmed: deque[int] = deque()
        self._commands: deque[tuple[str, bytes]] = deque(maxlen=MAX_COMMANDS)
        self._subscriptions: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self._client.will_set(availability, "offline", qos=1, retain=True)
        self._client.max_inflight_messages_set(WINDOW)
        self._client.max_queued_messages_set(10 * WINDOW)
        self._client.reconnect_delay_set(1, RECONNECT_MAX_S)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._authenticate()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def free(self) -> int:
        """How many more messages may be sent before some are confirmed."""
        return WINDOW - len(self._under_way) if self.connected else 0

    def start(self, commands: list[str]) -> None:
        """Connects as soon as the broker is there; `commands` are topics to listen to."""
        self._subscriptions = commands
        port = self._settings.port or (8883 if self._settings.tls else 1883)
        self._client.connect_async(self._settings.host, port, KEEPALIVE_S)
        self._client.loop_start()

    def connected_anew(self) -> bool:
        """Once after each connection. Raises PermanentError where the broker lets nobody in."""
        if self._error is not None:
            raise PermanentError(self._error)
        anew, self._anew = self._anew, False
        return anew

    def tell(self, topic: str, body: bytes | str, *, retain: bool = False) -> None:
        """Something of this moment: nothing is sent, and nothing kept, while there's no broker."""
        if self.connected:
            self._client.publish(topic, body, qos=1, retain=retain)

    def send(self, number: int, topic: str, body: bytes) -> None:
        """Something that must arrive; `confirmed` will hold its number."""
        self._under_way[self._client.publish(topic, body, qos=1).mid] = number

    def confirmed(self) -> list[int]:
        """Numbers that the broker has taken over since the last call."""
        numbers = []
        while self._confirmed:
            number = self._under_way.pop(self._confirmed.popleft(), None)
            if number is not None:
                numbers.append(number)
        return numbers

    def commands(self) -> list[tuple[str, bytes]]:
        """Topic and body of what came in since the last call; of too many, the newest."""
        return [self._commands.popleft() for _ in range(len(self._commands))]

    def stop(self) -> None:
        if self.connected:
            last = self._client.publish(self._availability, "offline", qos=1, retain=True)
            try:
                last.wait_for_publish(GOODBYE_S)
            except RuntimeError:  # the connection was lost just now
                log.debug("no goodbye", exc_info=True)
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
            raise ConfigError(f"mqtt: no TLS with {names}: {error}") from error

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            if str(reason) in DENIED:
                self._error = (
                    f"the broker {self._settings.host} refuses: {reason}; set mqtt.username and "
                    "mqtt.password_file"
                )
            return
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        self._anew = True
        self._connected.set()
        log.info("connected to the broker %s", self._settings.host)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if self.connected:
            log.warning("the broker %s is away: %s", self._settings.host, reason)
        self._connected.clear()

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _p: Any) -> None:
        self._confirmed.append(mid)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if not message.retain:  # a retained command would be done again with each connection
            self._commands.append((message.topic, bytes(message.payload)))


def _password(name: str) -> str:
    """Its first line. Raises ConfigError, also where others may read it."""
    path = Path(name)
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(f"{path}: everybody may read this password; chmod 640 {path}")
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file: {error}") from error
    except IndexError as error:
        raise ConfigError(f"mqtt.password_file: {path} is empty") from error
