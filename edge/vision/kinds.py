"""Remembers the sizes of what moves and is nothing: flakes, leaves, lights, shadows.

Each of them is in another place in each frame, so that pausing a place does not help. Their sizes
come back: after several looks in a row at motion of one size that detected nothing, wherever it
was, the next look at motion of this size waits, longer each time, until one detects an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes

# Chosen on drawn snow, shadows, headlights and traffic; their effect is in "What moves and is
# nothing" in docs/BENCHMARKS.md.
SAME_SIZE: Final = float(np.log(2))  # of each side: motion this similar is of one kind
LOOKS: Final = 6  # frames in a row with empty looks at a kind before it is paused
FIRST_PAUSE, LONGEST_PAUSE = 0.125, 2.0  # multiply empty_relook_s; the pause doubles in between
REMEMBERED_S: Final = 60.0  # since the last look at a kind
MAX_KINDS: Final = 16


@dataclass(slots=True, eq=False)
class _Kind:
    """Motion of one size.

    size: logarithms of width and height. looks: frames in a row whose looks detected nothing.
    """

    size: npt.NDArray[np.float32]
    looks: int = 0
    pause_s: float = 0.0
    looked_ns: int = -1
    until_ns: int = 0


class EmptyKinds:
    """The kinds of motion in one scene that were nothing so far."""

    def __init__(self) -> None:
        self._kinds: list[_Kind] = []

    def paused(self, boxes_xyxy: Boxes, timestamp_ns: int) -> npt.NDArray[np.bool_]:
        """(n,) whether motion in a box like this waits."""
        waiting = [kind.size for kind in self._kinds if timestamp_ns < kind.until_ns]
        if not waiting or len(boxes_xyxy) == 0:
            return np.zeros(len(boxes_xyxy), np.bool_)
        away = np.abs(_sizes(boxes_xyxy)[:, None] - np.array(waiting)[None])
        return np.asarray((away < SAME_SIZE).all(axis=2).any(axis=1))

    def report(
        self, empty: Sequence[Box], objects: Sequence[Box], timestamp_ns: int, relook_s: float
    ) -> None:
        """Takes the places with motion that were examined in a frame.

        empty: where nothing was detected. objects: where something was, which ends the pause of
        their kind. relook_s: the setting `scheduler.empty_relook_s`.
        """
        oldest_ns = timestamp_ns - REMEMBERED_S * NS_PER_S
        self._kinds = [kind for kind in self._kinds if kind.looked_ns >= oldest_ns]
        for size in _sizes(np.array(objects, np.float32).reshape(-1, 4)):
            self._kinds = [kind for kind in self._kinds if not _is_near(kind, size)]
        for size in _sizes(np.array(empty, np.float32).reshape(-1, 4)):
            self._note(size, timestamp_ns, relook_s)

    def _note(self, size: npt.NDArray[np.float32], timestamp_ns: int, relook_s: float) -> None:
        near = [kind for kind in self._kinds if _is_near(kind, size)]
        if near:
            kind = min(near, key=lambda one: float(np.abs(one.size - size).sum()))
        else:
            if len(self._kinds) == MAX_KINDS:
                self._kinds.remove(min(self._kinds, key=lambda one: one.looked_ns))
            kind = _Kind(size)
            self._kinds.append(kind)
        if kind.looked_ns == timestamp_ns:
            return  # several in one frame
        kind.looks, kind.looked_ns = kind.looks + 1, timestamp_ns
        if kind.looks >= LOOKS:
            longer_s = max(relook_s * FIRST_PAUSE, 2 * kind.pause_s)
            kind.pause_s = min(longer_s, relook_s * LONGEST_PAUSE)
            kind.until_ns = timestamp_ns + round(kind.pause_s * NS_PER_S)


def _sizes(boxes_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """(n, 2) logarithms of width and height."""
    return np.asarray(np.log(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1)), np.float32)


def _is_near(kind: _Kind, size: npt.NDArray[np.float32]) -> bool:
    return bool((np.abs(kind.size - size) < SAME_SIZE).all())
