"""Optional timing of a pipeline's stages, so that the stages themselves need no clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Entered around each stage's work with the stage's name.
StageClock = Callable[[str], AbstractContextManager[None]]

_UNTIMED = nullcontext()


def untimed(_stage: str) -> AbstractContextManager[None]:
    """The clock of a daemon: it measures nothing and costs nothing."""
    return _UNTIMED
