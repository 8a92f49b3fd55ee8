"""Keeps the last seconds of pictures as they came, in buffers that are used again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.capture.video.encoder import Canvas
from edge.vision.picture import Picture

_SPARE = 2  # buffers kept for the next pictures, as their number varies with the frame rate


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture as it came, or its copy in the size of the clip, with the time of its frame."""

    picture: Picture | Canvas
    timestamp_ns: int


class PictureRing:
    """Pictures by number, counted from 0 in the order of time. Not thread-safe.

    Pictures older than `span_ns` are dropped, except those that are still needed. There are never
    more than `capacity`: the oldest is dropped then, needed or not. Copies go to buffers that are
    used again, so that memory is allocated only while the ring grows.
    """

    def __init__(self, new_canvas: Callable[[], Canvas], span_ns: int, capacity: int) -> None:
        self._new_canvas = new_canvas
        self._span_ns = span_ns
        self._capacity = capacity
        self._kept: deque[Kept] = deque()
        self._spare: list[Canvas] = []
        self.first = 0  # the number of the oldest

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def full(self) -> bool:
        """Whether the next picture replaces the oldest, if that is not dropped for its age."""
        return len(self._kept) >= self._capacity

    @property
    def kept_ns(self) -> int:
        """Time from the oldest picture to the newest."""
        return self._kept[-1].timestamp_ns - self._kept[0].timestamp_ns if self._kept else 0

    @property
    def buffers(self) -> int:
        """Number of pictures for which memory is in use."""
        return len(self._kept) + len(self._spare)

    def add(
        self,
        picture: Picture,
        timestamp_ns: int,
        *,
        as_it_came: bool = False,
        needed: int | None = None,
    ) -> None:
        """Adds a picture in order of time.

        as_it_came: keeps the picture itself, which must not be in a camera's buffer. Otherwise it
        is copied once, or scaled. needed: number from which on none is dropped for its age.
        """
        while self._kept and self._is_old(timestamp_ns, needed):
            self._drop_oldest()
        if self.full:
            self._drop_oldest()
        del self._spare[_SPARE:]
        if as_it_came:
            self._kept.append(Kept(picture, timestamp_ns))
            return
        canvas = self._spare.pop() if self._spare else self._new_canvas()
        canvas.draw(picture)
        self._kept.append(Kept(canvas, timestamp_ns))

    def get(self, number: int) -> Kept | None:
        """The picture of that number; None if it has not come yet or is not kept any more."""
        index = number - self.first
        return self._kept[index] if 0 <= index < len(self._kept) else None

    def number_at(self, timestamp_ns: int) -> int:
        """The number of the last picture at or before the time; otherwise of the oldest."""
        earlier = sum(kept.timestamp_ns <= timestamp_ns for kept in self._kept)
        return self.first + max(0, earlier - 1)

    def _is_old(self, now_ns: int, needed: int | None) -> bool:
        if needed is not None and self.first >= needed:
            return False
        return self._kept[0].timestamp_ns < now_ns - self._span_ns

    def _drop_oldest(self) -> None:
        picture = self._kept.popleft().picture
        if isinstance(picture, Canvas):
            self._spare.append(picture)
        self.first += 1
