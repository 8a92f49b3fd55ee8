"""Counters of a daemon, and the rates that follow from them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from edge.runtime.times import NS_PER_MS, NS_PER_S


@dataclass(slots=True)
class Progress:
    """Counters since the start, and values of the last frame.

    Each is written by one thread and read by others. Source thread: received (frames), received_ns
    (time of the last). Analysis thread: frames (analysed, or skipped in a pause), invocations,
    invoked_ns (their total time), triggers, muted (objects that a muted place silenced), and of the
    last frame tracks, blobs and changed (share of the picture that differs from the background).
    The recorder's writing thread: captures.
    """

    received: int = 0
    frames: int = 0
    invocations: int = 0
    invoked_ns: int = 0
    triggers: int = 0
    muted: int = 0
    captures: int = 0
    tracks: int = 0
    blobs: int = 0
    changed: float = 0.0
    received_ns: int = field(default_factory=time.monotonic_ns)

    @property
    def inference_ms(self) -> float:
        """Mean time of an invocation."""
        return self.invoked_ns / NS_PER_MS / self.invocations if self.invocations else 0.0


class Rates:
    """Frames and invocations per second between two readings of the same progress."""

    def __init__(self) -> None:
        self._before = (time.monotonic_ns(), 0, 0)
        self.fps = self.invocations_per_s = 0.0

    def read(self, progress: Progress) -> None:
        now_ns = time.monotonic_ns()
        then_ns, frames, invocations = self._before
        elapsed_s = max((now_ns - then_ns) / NS_PER_S, 1e-3)
        self.fps = (progress.frames - frames) / elapsed_s
        self.invocations_per_s = (progress.invocations - invocations) / elapsed_s
        self._before = (now_ns, progress.frames, progress.invocations)
