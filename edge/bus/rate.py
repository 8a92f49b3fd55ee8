"""Limits the rate of each peer's commands, so that one peer can't occupy the daemon."""

from __future__ import annotations

from collections import OrderedDict


class RateLimit:
    """A token bucket for each of at most `peers`; the least recent peer is forgotten first."""

    def __init__(self, per_s: float, burst: int, peers: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._peers = peers
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # tokens, time

    def allows(self, peer: bytes, now_s: float) -> bool:
        """Takes a token from the peer's bucket; False if it is empty. `now_s` must not decrease."""
        tokens, then_s = self._buckets.pop(peer, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - then_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[peer] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > self._peers:
            self._buckets.popitem(last=False)
        return allowed
