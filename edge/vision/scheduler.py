"""Which places are worth an invocation now.

An invocation is the scarce good. A token bucket holds the budget; what is due is served in order of
what a look there would tell: the whole picture after a change of scene, then motion that no track
explains, tracks that are not yet sure, moving tracks, standing ones. What is not yet due still
fills the free cells of a canvas that is paid for.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.config.schema import SchedulerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, grown, iou
from edge.vision.types import Track, TrackState

EXPLAINED = 0.5  # of a blob, that lies within tracks: it is theirs
TRACK_MARGIN = 0.15  # tracks are grown by this share when they explain blobs
SAME_PLACE_IOU = 0.3  # of a blob with a place where nothing was found before
MAX_EMPTY_FACTOR = 16  # the pause at a place that stays empty doubles up to this
TENTATIVE_FACTOR = 0.5  # a track that is not yet sure is due sooner


class Reason(enum.IntEnum):
    """Why a place is worth a look; the smaller, the more urgent."""

    MOTION = 0
    TENTATIVE = 1
    MOVING = 2
    STANDING = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """A place worth a look.

    urgency: 1 and more is due; of two for the same reason the larger goes first.
    activity: of motion, the share of the blob that still changes; 1 for a track.
    """

    box_xyxy: Box
    reason: Reason
    urgency: float
    activity: float = 1.0

    @property
    def due(self) -> bool:
        return self.urgency >= 1


@dataclass(slots=True)
class _EmptyPlace:
    box_xyxy: Box
    until_ns: int
    pause_s: float


class Scheduler:
    """Spends the budget of one camera. It is told the time by the frames."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._settings = settings
        self.share = 1.0  # of the budget; less when the machine is hot
        self._tokens = float(settings.burst)
        self._refilled_ns: int | None = None
        self._whole_ns: int | None = None
        self._empty: list[_EmptyPlace] = []

    def refill(self, timestamp_ns: int) -> None:
        """Once a frame, first of all."""
        if self._refilled_ns is not None:
            elapsed_s = (timestamp_ns - self._refilled_ns) / NS_PER_S
            earned = elapsed_s * self._settings.invocations_per_s * self.share
            self._tokens = min(self._tokens + earned, float(self._settings.burst))
        self._refilled_ns = timestamp_ns

    def affords(self) -> bool:
        return self._tokens >= 1 - 1e-9

    def spend(self) -> None:
        """One invocation. A look that can't wait may leave a debt."""
        self._tokens -= 1

    def whole_is_due(self, timestamp_ns: int, scene_change: bool) -> bool:
        """Whether to look at the whole picture, budget or not: new scene, or the slow sweep."""
        sweep_ns = self._settings.sweep_s * NS_PER_S
        swept = self._whole_ns is not None and (
            sweep_ns == 0 or timestamp_ns - self._whole_ns < sweep_ns
        )
        if swept and not scene_change:
            return False
        self._whole_ns = timestamp_ns
        return True

    def subjects(
        self,
        blobs_xyxy: Boxes,
        activity: npt.NDArray[np.float32],
        tracks: Sequence[Track],
        timestamp_ns: int,
    ) -> list[Subject]:
        """All that could be looked at, what is most worth it first; blobs in main pixels."""
        self._forget(timestamp_ns)
        subjects = [self._of_track(track, timestamp_ns) for track in tracks]
        for row in np.flatnonzero(~_explained(blobs_xyxy, tracks)):
            box: Box = tuple(blobs_xyxy[row].tolist())
            if not self._is_pausing(box, timestamp_ns):
                subjects.append(
                    Subject(box, Reason.MOTION, 1 + float(activity[row]), float(activity[row]))
                )
        return sorted(subjects, key=lambda s: (not s.due, s.reason if s.due else 0, -s.urgency))

    def note_empty(self, box_xyxy: Box, timestamp_ns: int) -> None:
        """Nothing was found where motion was: the place rests, longer each time."""
        pause_s = self._settings.empty_relook_s
        longest_s = pause_s * MAX_EMPTY_FACTOR
        for place in self._empty:
            if _same_place(place.box_xyxy, box_xyxy):
                pause_s = max(pause_s, min(place.pause_s * 2, longest_s))
        self.note_found(box_xyxy)
        until_ns = timestamp_ns + round(pause_s * NS_PER_S)
        self._empty.append(_EmptyPlace(box_xyxy, until_ns, pause_s))

    def note_found(self, box_xyxy: Box) -> None:
        """Something was found there: what was learnt of the place is void."""
        self._empty = [p for p in self._empty if not _same_place(p.box_xyxy, box_xyxy)]

    def _of_track(self, track: Track, timestamp_ns: int) -> Subject:
        last_ns = track.looks[-1].timestamp_ns if track.looks else track.last_seen_ns
        waited_s = (timestamp_ns - last_ns) / NS_PER_S
        match track.state:
            case TrackState.TENTATIVE:
                reason, period_s = Reason.TENTATIVE, self._settings.relook_s * TENTATIVE_FACTOR
            case TrackState.STATIONARY if track.misses == 0:
                reason, period_s = Reason.STANDING, self._settings.standing_relook_s
            case _:
                reason, period_s = Reason.MOVING, self._settings.relook_s
        return Subject(track.box_xyxy, reason, waited_s / max(period_s, 1e-3))

    def _is_pausing(self, box_xyxy: Box, timestamp_ns: int) -> bool:
        return any(
            timestamp_ns < place.until_ns and _same_place(place.box_xyxy, box_xyxy)
            for place in self._empty
        )

    def _forget(self, timestamp_ns: int) -> None:
        """Empty places some time after their pause, so that a repeated one can double."""
        self._empty = [
            place
            for place in self._empty
            if timestamp_ns < place.until_ns + 2 * place.pause_s * NS_PER_S
        ]


def _same_place(a_xyxy: Box, b_xyxy: Box) -> bool:
    a, b = np.array([a_xyxy], np.float32), np.array([b_xyxy], np.float32)
    return bool(iou(a, b)[0, 0] > SAME_PLACE_IOU)


def _explained(blobs_xyxy: Boxes, tracks: Sequence[Track]) -> npt.NDArray[np.bool_]:
    """(n,) whether each blob lies, for the larger part, within tracks."""
    if not tracks or len(blobs_xyxy) == 0:
        return np.zeros(len(blobs_xyxy), np.bool_)
    boxes = np.array([track.box_xyxy for track in tracks], np.float32)
    return np.asarray(covered(blobs_xyxy, grown(boxes, TRACK_MARGIN)).sum(axis=1) > EXPLAINED)
