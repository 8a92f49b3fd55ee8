"""Splits pictures into training, validation and test by time.

Neighbouring frames of a fixed camera are nearly the same picture. A random split would test a model
on pictures that it has memorized. Each footage is cut into rounds, and each round into three
blocks, with gaps between them from which no picture is taken. A track belongs to one split; in the
blocks of the others it is a place to ignore.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

TRAIN, VAL, TEST = NAMES = ("train", "val", "test")
ROUND_S = 3600.0  # an hour: every split of long footage then holds all times of day
# The gap before a block: a share of a round, up to half a minute. Chosen, not measured.
GAP_SHARE, MAX_GAP_S = 0.02, 30.0
ROUNDING_S = 1e-6  # of sums of shares


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of the time for each split. The sum is 1."""

    train: float = 0.7
    val: float = 0.15
    test: float = 0.15


def split_at(time_s: float, duration_s: float, shares: Shares) -> str:
    """The split of a moment in footage of `duration_s`, or "" in a gap."""
    rounds = max(1, round(duration_s / ROUND_S))
    length_s = max(duration_s / rounds, ROUNDING_S)
    within_s = time_s % length_s if time_s < duration_s else length_s
    gap_s = min(GAP_SHARE * length_s, MAX_GAP_S)
    last = rounds == 1 or time_s >= length_s * (rounds - 1)
    end_s = 0.0
    for name, share in zip(NAMES, (shares.train, shares.val, shares.test), strict=True):
        end_s += share * length_s
        if share and within_s <= end_s + ROUNDING_S:
            at_the_end = last and end_s > length_s - ROUNDING_S
            return name if at_the_end or within_s < end_s - gap_s else ""
    return ""


def track_split(splits: Iterable[str]) -> str:
    """The split of a track whose pictures lie in `splits`: the most frequent one."""
    counts = Counter(splits)
    return max(NAMES, key=lambda name: counts[name])
