"""Where a camera's messages are on a broker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """All below `<prefix>/<camera>/`."""

    prefix: str
    camera: str

    @property
    def availability(self) -> str:
        return self._of("availability")

    @property
    def health(self) -> str:
        return self._of("health")

    @property
    def image(self) -> str:
        return self._of("image")

    @property
    def paused(self) -> str:
        return self._of("paused")

    @property
    def result(self) -> str:
        return self._of("result")

    def trigger(self, rule: str) -> str:
        return self._of(f"trigger/{rule}")

    def capture(self, rule: str) -> str:
        return self._of(f"capture/{rule}")

    def occupancy(self, rule: str) -> str:
        return self._of(f"occupancy/{rule}")

    def command(self, name: str) -> str:
        return self._of(f"command/{name}")

    def _of(self, name: str) -> str:
        return f"{self.prefix}/{self.camera}/{name}"
