"""The interface of every source of frames."""

from __future__ import annotations

from typing import Protocol

from edge.vision.types import Frame, SourceInfo


class Source(Protocol):
    """Opened, read and closed by one thread; may be opened again after a close."""

    def open(self) -> SourceInfo:
        """Raises SourceError if it can never work, SourceLostError if it may work later."""
        ...

    def read(self) -> Frame | None:
        """The next frame, when it is due; None at the end of a file. Raises SourceLostError."""
        ...

    def close(self) -> None:
        """Releases it. Callable at any time, from any thread and more than once."""
        ...
