"""The states of one camera at a broker: availability, occupancy, counts, health and entities."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from edge.bridges.homeassistant import entities
from edge.bridges.retained import Retained
from edge.bridges.topics import Names, Topics
from edge.config.schema import Settings
from edge.messages import Health, Presence

MISSED_INTERVALS: Final = 3  # of health, until a daemon counts as offline
MIN_PATIENCE_S: Final = 1.0  # for short intervals, of which a busy machine may miss several
MAX_NAMES: Final = 256  # of each kind; a configuration has a few


class Availability:
    """Whether the daemon is online: it sends health messages, and the last is not `stopping`."""

    def __init__(self, interval_s: float) -> None:
        """interval_s: of the health messages."""
        self._patience_s = max(MISSED_INTERVALS * interval_s, MIN_PATIENCE_S)
        self._health_s = -math.inf  # monotonic time of the last message

    def note(self, health: Health) -> None:
        self._health_s = -math.inf if health.state == "stopping" else time.monotonic()

    @property
    def online(self) -> bool:
        return time.monotonic() - self._health_s <= self._patience_s


class Occupancy:
    """Whether an object that meets a rule is there, or was there less than `hold_s` ago."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._until_s: dict[str, float] = {}  # monotonic time of each rule's end

    def note(self, rules: dict[str, int]) -> None:
        """rules: number of objects for each."""
        held_s = time.monotonic() + self._hold_s
        for rule, objects in rules.items():
            if objects:
                self._until_s[rule] = math.inf
            elif self._until_s.get(rule) == math.inf:
                self._until_s[rule] = held_s
        self._until_s = {rule: end for rule, end in self._until_s.items() if rule in rules}

    def on(self, rule: str) -> bool:
        return time.monotonic() < self._until_s.get(rule, -math.inf)


class States:
    """Turns messages into retained states. `update` brings those up to date that time changes."""

    def __init__(self, settings: Settings, retained: Retained) -> None:
        self._mqtt = settings.mqtt
        self._topics = Topics(settings.mqtt.prefix, settings.camera)
        self._retained = retained
        self._availability = Availability(settings.health.interval_s)
        self._occupancy = Occupancy(settings.mqtt.off_delay_s)
        self._paused = False
        self._known = False  # whether the daemon has said what is there
        self._names = _names(settings)
        self._announce()

    def health(self, message: Health, body: bytes) -> None:
        self._availability.note(message)
        self._retained.put(self._topics.health, body)
        self.paused(message.paused)

    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._retained.put(self._topics.paused, _on_off(paused))

    def presence(self, message: Presence) -> None:
        """Takes over the names of rules, zones and lines too, which a reload may have changed."""
        names = Names(_first(message.rules), _first(message.zones), _first(message.lines))
        if names != self._names:
            self._names = names
            self._announce()
        self._known = True
        self._occupancy.note(message.rules)
        for name in names.lines:
            self._put(self._topics.line(name), message.lines[name])
        for name in names.zones:
            self._put(self._topics.zone(name), message.zones[name])

    def update(self) -> None:
        """Nobody is reported as present while the daemon can't know it: stopped, or paused."""
        online = self._availability.online
        self._retained.put(self._topics.availability, b"online" if online else b"offline")
        looks = online and not self._paused
        for rule in self._names.rules if self._known or not online else ():
            self._retained.put(
                self._topics.occupancy(rule), _on_off(looks and self._occupancy.on(rule))
            )

    def _announce(self) -> None:
        """Publishes the entities for Home Assistant, and removes those that are no longer one."""
        discovery, configs = self._mqtt.discovery, {}
        if discovery:
            configs = {
                topic: msgspec.json.encode(entity)
                for topic, entity in entities(self._topics, self._names, discovery)
            }
        self._retained.expect({*configs, *self._topics.retained(self._names)})
        for topic, config in configs.items():
            self._retained.put(topic, config)

    def _put(self, topic: str, state: msgspec.Struct) -> None:
        self._retained.put(topic, msgspec.json.encode(state))


def _names(settings: Settings) -> Names:
    kinds = (settings.triggers, settings.zones, settings.lines)
    return Names(*(_first(one.name for one in kind) for kind in kinds))


def _first(names: Iterable[str]) -> tuple[str, ...]:
    """As many names as are published; a false daemon may send any number."""
    return tuple(names)[:MAX_NAMES]


def _on_off(state: bool) -> bytes:
    return b"ON" if state else b"OFF"
