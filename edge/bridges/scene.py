"""The picture of the whole scene at a trigger, which the daemon sends on request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from edge.client import Control
from edge.errors import EdgeError

EVERY_S: Final = 1.0  # shortest time between two requests, each of which costs the daemon a JPEG
RETRY_S: Final = 30.0  # after a failure, for which the bridge waited in vain
MIN_WIDTH_PX: Final = 64  # of a snapshot

log = logging.getLogger(__name__)


class Scene:
    """Requests the scene of the newest trigger, at most once a second."""

    def __init__(self, control: Callable[[], Control], width_px: int) -> None:
        """width_px: largest width of the picture; 0 for no picture."""
        self._control = control
        self._width_px = width_px
        self._wanted = False
        self._due_s = 0.0

    def trigger(self) -> None:
        self._wanted = self._width_px > 0

    def take(self) -> bytes | None:
        """The JPEG of the last trigger with the box around its object, if it is new and due."""
        if not self._wanted or time.monotonic() < self._due_s:
            return None
        self._wanted, self._due_s = False, time.monotonic() + EVERY_S
        try:
            with self._control() as control:
                return control.snapshot(max(self._width_px, MIN_WIDTH_PX), trigger=True)[1]
        except EdgeError as error:
            self._due_s += RETRY_S - EVERY_S
            log.warning("no picture of the scene: %s", error)
            return None
