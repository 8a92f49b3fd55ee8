"""Turns the times that a recording or stream states into times that rise steadily from 0."""

from __future__ import annotations

from edge.runtime.times import NS_PER_MS, NS_PER_S

# A live source counts as lost after 5 s without a frame (default of health.stall_s), so a longer
# step inside one stream is an error of its times, or a pause in which nothing was recorded.
MAX_STEP_S = 5.0
MAX_STEP_PERIODS = 3  # for time-lapse videos, whose frames are further apart than that
# FFmpeg's muxers store a time that did not rise as one tick later: 1 ms in Matroska, less in MP4.
REPEATED_NS = NS_PER_MS


class SourceClock:
    """The clock of a source: its first time is 0, and it rises by 0 to `max_step_ns` a frame.

    Call it once for each frame, in the order of presentation. A time that steps back, or leaps
    by more than `max_step_ns`, counts as one frame period after the frame before, and the times
    that follow continue from there. A missing time, and one that repeats the last, also count as
    one period, but the next stated time is used as it is, so that no error adds up.

    period_ns: the frame period. jumps: number of steps back and leaps so far, with those of an
    earlier clock of the source.
    """

    def __init__(self, period_ns: int, jumps: int = 0) -> None:
        self._period_ns = period_ns
        self.max_step_ns = max(int(MAX_STEP_S * NS_PER_S), MAX_STEP_PERIODS * period_ns)
        self.jumps = jumps
        self._now_ns: int | None = None
        self._stated_ns: int | None = None  # the last time that was stated
        self._offset_ns = 0  # this clock minus the stated times

    def __call__(self, stated_ns: int | None) -> int:
        """The time of the next frame. stated_ns: as the stream states it; None if it does not."""
        guess_ns = 0 if self._now_ns is None else self._now_ns + self._period_ns
        self._now_ns = guess_ns if stated_ns is None else self._stated(stated_ns, guess_ns)
        return self._now_ns

    def begin_again(self) -> None:
        """The recording is played again: its first frame comes one period after its last."""
        self._stated_ns = None

    def _stated(self, stated_ns: int, guess_ns: int) -> int:
        last_ns, self._stated_ns = self._stated_ns, stated_ns
        if self._now_ns is None or last_ns is None:
            self._offset_ns = guess_ns - stated_ns
            return guess_ns
        if 0 <= stated_ns - last_ns <= REPEATED_NS:
            return guess_ns
        now_ns = stated_ns + self._offset_ns
        step_ns = now_ns - self._now_ns
        if stated_ns > last_ns and -self._period_ns <= step_ns <= self.max_step_ns:
            return max(now_ns, self._now_ns)
        self.jumps += 1
        self._offset_ns = guess_ns - stated_ns
        return guess_ns
