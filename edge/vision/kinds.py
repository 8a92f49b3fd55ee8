"""Remembers what moves and is nothing: flakes, leaves, lights, shadows.

Each of them is in another place in each frame, so that pausing a place does not help. Their sizes
come back: after several looks in a row at motion of one size that detected nothing, wherever it
was, the next look at motion of this size waits, longer each time, until one detects an object.
Soft motion (light and shadow) is one kind of any size: a headlight's beam changes its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Boxes

# Chosen on drawn snow, shadows, headlights and traffic; their effect is in "What moves and is
# nothing" in docs/BENCHMARKS.md.
ALIKE: Final = float(np.log(2))  # a factor of 2 in each side: motion this similar is of one kind
LOOKS: Final = 6  # frames in a row with empty looks at a kind before it is paused
FIRST_PAUSE, LONGEST_PAUSE = 0.125, 2.0  # multiply empty_relook_s; the pause doubles in between
REMEMBERED_S: Final = 60.0  # since the last look at a kind
MAX_KINDS: Final = 16


@dataclass(slots=True, eq=False)
class _Kind:
    """Motion that looks alike.

    look: as of `_looks_of`. looks: frames in a row whose looks detected nothing.
    """

    look: npt.NDArray[np.float32]
    looks: int = 0
    pause_s: float = 0.0
    looked_ns: int = -1
    until_ns: int = 0


class EmptyKinds:
    """The kinds of motion in one scene that were nothing so far."""

    def __init__(self) -> None:
        self._kinds: list[_Kind] = []

    def paused(
        self, boxes_xyxy: Boxes, soft: npt.NDArray[np.bool_], timestamp_ns: int
    ) -> npt.NDArray[np.bool_]:
        """(n,) whether motion in a box like this waits. soft: (n,), as in `Motion`."""
        waiting = [kind.look for kind in self._kinds if timestamp_ns < kind.until_ns]
        if not waiting or len(boxes_xyxy) == 0:
            return np.zeros(len(boxes_xyxy), np.bool_)
        away = np.abs(_looks_of(boxes_xyxy, soft)[:, None] - np.array(waiting)[None])
        return np.asarray((away < ALIKE).all(axis=2).any(axis=1))

    def report(
        self,
        boxes_xyxy: Boxes,
        soft: npt.NDArray[np.bool_],
        has_object: npt.NDArray[np.bool_],
        timestamp_ns: int,
        relook_s: float,
    ) -> None:
        """Takes the (n, 4) places with motion that were examined in a frame.

        has_object: (n,) whether something was detected there, which ends the pause of its kind.
        relook_s: the setting `scheduler.empty_relook_s`.
        """
        oldest_ns = timestamp_ns - REMEMBERED_S * NS_PER_S
        self._kinds = [kind for kind in self._kinds if kind.looked_ns >= oldest_ns]
        looks = _looks_of(boxes_xyxy, soft)
        for look in looks[has_object]:
            self._kinds = [kind for kind in self._kinds if not _is_alike(kind, look)]
        for look in looks[~has_object]:
            self._note(look, timestamp_ns, relook_s)

    def _note(self, look: npt.NDArray[np.float32], timestamp_ns: int, relook_s: float) -> None:
        alike = [kind for kind in self._kinds if _is_alike(kind, look)]
        if alike:
            kind = min(alike, key=lambda one: float(np.abs(one.look - look).sum()))
        else:
            if len(self._kinds) == MAX_KINDS:
                self._kinds.remove(min(self._kinds, key=lambda one: one.looked_ns))
            kind = _Kind(look)
            self._kinds.append(kind)
        if kind.looked_ns == timestamp_ns:
            return  # several in one frame
        kind.looks, kind.looked_ns = kind.looks + 1, timestamp_ns
        if kind.looks >= LOOKS:
            longer_s = max(relook_s * FIRST_PAUSE, 2 * kind.pause_s)
            kind.pause_s = min(longer_s, relook_s * LONGEST_PAUSE)
            kind.until_ns = timestamp_ns + round(kind.pause_s * NS_PER_S)


def _looks_of(boxes_xyxy: Boxes, soft: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(n, 3) logarithms of width and height, and 0; the same (0, 0, 1) for all that is soft."""
    looks = np.zeros((len(boxes_xyxy), 3), np.float32)
    np.log(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1), out=looks[:, :2])
    looks[soft] = 0, 0, 1
    return looks


def _is_alike(kind: _Kind, look: npt.NDArray[np.float32]) -> bool:
    return bool((np.abs(kind.look - look) < ALIKE).all())
