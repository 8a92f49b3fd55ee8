"""Paints privacy masks into the frames of any source, before anything else receives them."""

from __future__ import annotations

from dataclasses import replace

from edge.sources.base import Source
from edge.vision.privacy import Painter
from edge.vision.types import Frame, SourceInfo


class MaskedSource:
    """A source whose frames are painted, and which gives no H.264 of its own."""

    def __init__(self, source: Source, paint: Painter) -> None:
        self._source = source
        self._paint = paint

    @property
    def time_jumps(self) -> int:
        return int(getattr(self._source, "time_jumps", 0))

    def open(self) -> SourceInfo:
        return replace(self._source.open(), encoded=None)

    def read(self) -> Frame | None:
        frame = self._source.read()
        return None if frame is None else self._paint(frame)

    def close(self) -> None:
        self._source.close()
