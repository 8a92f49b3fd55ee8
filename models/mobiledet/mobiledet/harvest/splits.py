"""Training, validation and test apart in time, so that near-duplicates don't leak.

Neighbouring frames of a fixed camera are nearly one picture: drawn at random, they would let a
model be tested on what it has learnt by heart. Each footage is cut in rounds, each round in three
blocks, with a gap before the next block in which no picture is taken. A track belongs to one split:
where it reaches into another's block it is a place to ignore.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

TRAIN, VAL, TEST = NAMES = ("train", "val", "test")
ROUND_S = 3600.0  # long footage has all its hours in each split
GAP_SHARE, MAX_GAP_S = 0.02, 30.0  # of a round


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the time each split gets; they add up to 1."""

    train: float = 0.7
    val: float = 0.15
    test: float = 0.15


def split_at(time_s: float, duration_s: float, shares: Shares) -> str:
    """The split of a moment in footage of some length; "" in a gap."""
    rounds = max(1, round(duration_s / ROUND_S))
    length_s = max(duration_s / rounds, 1e-9)
    within_s = time_s % length_s if time_s < duration_s else length_s
    gap_s = min(GAP_SHARE * length_s, MAX_GAP_S)
    last = rounds == 1 or time_s >= length_s * (rounds - 1)
    end_s = 0.0
    for name, share in zip(NAMES, (shares.train, shares.val, shares.test), strict=True):
        end_s += share * length_s
        if share and within_s <= end_s + 1e-9:
            at_the_end = last and end_s > length_s - 1e-6
            return name if at_the_end or within_s < end_s - gap_s else ""
    return ""


def home(splits: Iterable[str]) -> str:
    """The split that a track belongs to, of those that its pictures lie in: the most frequent."""
    counts = Counter(splits)
    return max(NAMES, key=lambda name: counts[name])
