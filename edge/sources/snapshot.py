"""Fetches still pictures from a camera's web address, one at a time, as a live source."""

from __future__ import annotations

import threading
import time
from typing import Final

from edge.config.schema import SourceSettings
from edge.errors import SourceLostError
from edge.sources.fetch import Fetcher
from edge.sources.stills import Still, StillError, decode
from edge.sources.views import luma_of, luma_size
from edge.vision.types import Frame, SourceInfo

MIN_EVERY_S: Final = 1 / 240  # the highest rate of `source.fps`


class SnapshotSource:
    """A frame for each picture, also if the camera gives the same picture again.

    A frame's time is that at which its picture has come. A picture that is late delays the next
    ones; none is fetched twice to catch up.
    """

    def __init__(self, settings: SourceSettings, stall_s: float = 5.0) -> None:
        """stall_s: how long the camera may take for one picture."""
        self._settings = settings
        self._every_s = max(settings.snapshot_pause_s, MIN_EVERY_S)
        self._fetch = Fetcher(settings, stall_s)
        self._stopped = threading.Event()
        self._first: Frame | None = None
        self._index = 0
        self._due_s = 0.0

    def open(self) -> SourceInfo:
        """Fetches the first picture. Raises SourceLostError."""
        self._stopped.clear()
        self._index = 0
        self._due_s = time.monotonic()
        first = self._first = self._frame()
        size = first.main.width, first.main.height
        return SourceInfo(
            self._settings.name,
            size,
            luma_size(*size, self._settings.luma_width_px),
            1 / self._every_s,
            live=True,
        )

    def read(self) -> Frame | None:
        """The next picture, when it is due. Raises SourceLostError."""
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._stopped.wait(max(0.0, self._due_s - time.monotonic())):
            return None
        frame = self._frame()
        return None if self._stopped.is_set() else frame

    def close(self) -> None:
        """Ends a wait or a request at once."""
        self._stopped.set()
        self._fetch.end()
        self._first = None

    def _frame(self) -> Frame:
        self._due_s = max(self._due_s, time.monotonic()) + self._every_s
        picture = self._still().picture
        index, self._index = self._index, self._index + 1
        luma = luma_of(picture, self._settings.luma_width_px)
        return Frame(index, time.monotonic_ns(), time.time_ns(), luma, picture)

    def _still(self) -> Still:
        try:
            return decode(self._fetch())
        except StillError as error:
            raise SourceLostError(
                f"source {self._settings.name}: the picture is {error}"
            ) from error
