"""The topics of a camera at a broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge.messages import topic_part

STATES = ("occupancy", "line", "zone")  # kinds of retained topics, one for each name


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a camera's rules, zones and lines."""

    rules: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one camera. All begin with `<prefix>/<camera>/`."""

    prefix: str
    camera: str

    @property
    def availability(self) -> str:
        return self._topic("availability")

    @property
    def health(self) -> str:
        return self._topic("health")

    @property
    def image(self) -> str:
        return self._topic("image")

    @property
    def scene(self) -> str:
        return self._topic("scene")

    @property
    def paused(self) -> str:
        return self._topic("paused")

    @property
    def result(self) -> str:
        return self._topic("result")

    def trigger(self, rule: str) -> str:
        return self._topic(f"trigger/{topic_part(rule)}")

    @property
    def trigger_filter(self) -> str:
        """Filter for the triggers of all rules."""
        return self._topic("trigger/+")

    def capture(self, rule: str) -> str:
        return self._topic(f"capture/{topic_part(rule)}")

    def count(self, line: str) -> str:
        return self._topic(f"count/{topic_part(line)}")

    def stay(self, zone: str) -> str:
        return self._topic(f"stay/{topic_part(zone)}")

    def occupancy(self, rule: str) -> str:
        return self._topic(f"occupancy/{topic_part(rule)}")

    def line(self, line: str) -> str:
        return self._topic(f"line/{topic_part(line)}")

    def zone(self, zone: str) -> str:
        return self._topic(f"zone/{topic_part(zone)}")

    def command(self, name: str) -> str:
        return self._topic(f"command/{name}")

    def retained(self, names: Names) -> Iterator[str]:
        """The topics with retained messages of a camera with these names."""
        yield from (self.availability, self.health, self.image, self.scene, self.paused)
        yield from map(self.occupancy, names.rules)
        yield from map(self.zone, names.zones)
        yield from map(self.line, names.lines)

    def filters(self) -> Iterator[str]:
        """Filters for the retained topics that have a name in them."""
        yield from (self._topic(f"{kind}/+") for kind in STATES)

    def _topic(self, name: str) -> str:
        return f"{self.prefix}/{self.camera}/{name}"
