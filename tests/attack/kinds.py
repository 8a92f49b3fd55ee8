"""What is tried, and what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Attempt = str | None  # a sentence about what was handled badly; None if it was handled well
Attempts = Iterator[Attempt]


@dataclass(frozen=True)
class Kind:
    """One kind of attack.

    count: attempts of a whole run. run: receives a folder of its own, the source of randomness and
        how many attempts to make; yields the outcome of each.
    """

    name: str
    count: int
    run: Callable[[Path, random.Random, int], Attempts]


@dataclass
class Row:
    """The results of one kind."""

    name: str
    tried: int = 0
    faults: list[str] = field(default_factory=list)
    absent: str = ""  # why this machine can't run it
    wall_s: float = 0.0

    @property
    def well(self) -> int:
        return self.tried - len(self.faults)


class AbsentError(Exception):
    """This machine lacks something that the kind needs."""
