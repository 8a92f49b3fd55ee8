"""What every source of frames can do."""

from __future__ import annotations

from typing import Protocol

from edge.vision.types import Frame, SourceInfo


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
