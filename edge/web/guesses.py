"""Slows down the guessing of the token."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

FREE: Final = 10  # wrong tokens of an address before it must wait: a person's typing errors
FIRST_S, LONGEST_S = 1.0, 60.0  # the wait after those; it doubles with each further one
FORGET_S: Final = 3600.0  # an address without a wrong token for this long begins again
ADDRESSES: Final = 1024  # remembered at a time; the least recent is forgotten first
ALL_PER_S: Final = 10.0  # wrong tokens of all addresses together, after a burst of as many

_V = TypeVar("_V")


class Guesses:
    """Counts wrong tokens by address and in total. Use it from one event loop.

    An address that has shown the right token before is exempt from the total, so that guesses from
    many addresses don't keep the owner out.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # count, time of the last
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._tokens, self._then_s = ALL_PER_S, now_s()

    def wait_s(self, address: str) -> float:
        """How long this address must wait before its next token is looked at; 0: not at all."""
        count, last_s = self._wrong.get(address, (0, 0.0))
        wait_s = last_s + _delay_s(count) - self._now_s()
        if wait_s <= 0 and address not in self._trusted and self._left() < 1:
            wait_s = 1 / ALL_PER_S
        return max(0.0, wait_s)

    def note(self, address: str, right: bool) -> None:
        """Call it after each token that was looked at."""
        if right:
            self._wrong.pop(address, None)
            _put(self._trusted, address, None)
            return
        now_s = self._now_s()
        count, last_s = self._wrong.get(address, (0, now_s))
        count = 0 if now_s - last_s > FORGET_S else count
        _put(self._wrong, address, (count + 1, now_s))
        self._tokens = max(0.0, self._left() - 1)

    def _left(self) -> float:
        now_s = self._now_s()
        self._tokens = min(ALL_PER_S, self._tokens + (now_s - self._then_s) * ALL_PER_S)
        self._then_s = now_s
        return self._tokens


def _delay_s(count: int) -> float:
    """After `count` wrong tokens."""
    if count < FREE:
        return 0.0
    return float(min(LONGEST_S, FIRST_S * 2 ** min(count - FREE, 16)))


def _put(table: OrderedDict[str, _V], address: str, value: _V) -> None:
    """Makes the entry the newest, and forgets the oldest beyond `ADDRESSES`."""
    table[address] = value
    table.move_to_end(address)
    if len(table) > ADDRESSES:
        table.popitem(last=False)
