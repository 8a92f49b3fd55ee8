"""Sends messages to the bus, and to a listener in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge.bus.publisher import Publisher
from edge.capture.request import CaptureFailure, CaptureResult
from edge.daemon import publish
from edge.daemon.progress import Progress
from edge.messages import AnyMessage, M
from edge.vision.types import Frame

Listener = Callable[[AnyMessage], None]


class Outlet:
    """Publishes messages from any thread; `listener` receives each one too."""

    def __init__(
        self, publisher: Publisher, progress: Progress, listener: Listener | None = None
    ) -> None:
        self._publisher = publisher
        self._progress = progress
        self._listener = listener

    def about_frame(self, message: M, frame: Frame, jpeg: bytes | None = None) -> M:
        """Publishes a message with the times of a frame. Returns it with its header."""
        return self._send(message, frame.timestamp_ns, frame.wall_ns, jpeg)

    def about_now(self, message: M) -> M:
        """Publishes a message with the present time. Returns it with its header."""
        return self._send(message, time.monotonic_ns(), time.time_ns())

    def capture(self, result: CaptureResult) -> None:
        """Publishes a file that is complete on disk; the recorder's writing thread calls it."""
        self._progress.captures += 1
        self.about_now(publish.capture(result))

    def capture_failure(self, failure: CaptureFailure) -> None:
        """Publishes that a capture failed; a thread of the recorder or of its caller calls it."""
        self.about_now(publish.capture_failure(failure))

    def _send(self, message: M, timestamp_ns: int, wall_ns: int, jpeg: bytes | None = None) -> M:
        published = self._publisher.publish(message, timestamp_ns, wall_ns, jpeg)
        if self._listener is not None:
            self._listener(published)
        return published
