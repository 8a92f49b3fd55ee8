"""What every source of frames can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.vision.types import EncodedStream, Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known once a source is open.

    live: frames come whether or not anybody is ready for them. A source that isn't live waits.
    frame_count: of a file, where its container tells.
    encoded: set where the source delivers H.264 packets with its frames.
    """

    name: str
    width: int
    height: int
    fps: float
    live: bool
    frame_count: int | None = None
    encoded: EncodedStream | None = None


class Source(Protocol):
    """Opened once, read by one thread, closed by the same; may be opened again after a close."""

    def open(self) -> SourceInfo:
        """Raises SourceError where it can never work, SourceLostError where it may later."""
        ...

    def read(self) -> Frame | None:
        """The next frame, paced; None at the end of a file. Raises SourceLostError."""
        ...

    def close(self) -> None:
        """Safe to call at any time, twice too."""
        ...
