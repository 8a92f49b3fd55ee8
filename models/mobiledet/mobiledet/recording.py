"""Reads footage from its first frame to its last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge.config.schema import SourceSettings
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.privacy import Polygon
from edge.vision.types import Frame, SourceInfo


class Recording:
    """A source that is open inside a `with` block."""

    def __init__(self, settings: SourceSettings, masks: Sequence[Polygon] = ()) -> None:
        """masks: painted black, as by `open_source`. Raises SourceError if there is no footage."""
        self.source = open_source(settings, masks=masks, recording=True)

    def __enter__(self) -> Recording:
        self.info: SourceInfo = self.source.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def frames(self) -> Iterator[tuple[Frame, float]]:
        """The frames in order, each with its time in seconds since the first."""
        start_ns: int | None = None
        while (frame := self.source.read()) is not None:
            start_ns = frame.timestamp_ns if start_ns is None else start_ns
            yield frame, (frame.timestamp_ns - start_ns) / NS_PER_S
