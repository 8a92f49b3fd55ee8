"""The topics of a camera at a broker."""

from __future__ import annotations

from dataclasses import dataclass

from edge.messages import topic_part


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
    def paused(self) -> str:
        return self._topic("paused")

    @property
    def result(self) -> str:
        return self._topic("result")

    def trigger(self, rule: str) -> str:
        return self._topic(f"trigger/{topic_part(rule)}")

    def capture(self, rule: str) -> str:
        return self._topic(f"capture/{topic_part(rule)}")

    def occupancy(self, rule: str) -> str:
        return self._topic(f"occupancy/{topic_part(rule)}")

    def command(self, name: str) -> str:
        return self._topic(f"command/{name}")

    def _topic(self, name: str) -> str:
        return f"{self.prefix}/{self.camera}/{name}"
