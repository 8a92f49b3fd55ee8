"""Decides which places get an invocation now.

The number of invocations is limited: a token bucket holds the budget. Places that are due are
served in the order of the new information that an invocation gives: the whole picture after a scene
change, then motion that no track explains, new tracks until enough looks agree, moving tracks and
standing ones. Places that are not due yet, and motion like much that was nothing (`kinds`), fill
the free cells of a canvas that is used anyway.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.config.schema import LOOKS_KEPT, SchedulerSettings
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box, Boxes, covered, grown, iou
from edge.vision.kinds import EmptyKinds
from edge.vision.types import Track, TrackState

# Chosen by F1 and invocations per frame on PETS and TUD-Campus; their effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
EXPLAINED = 0.5  # share of a blob inside tracks, above which it belongs to them
TRACK_MARGIN = 0.15  # share of its size by which a track is grown when it explains blobs
SAME_PLACE_IOU = 0.3  # overlap of a blob with an empty place, above which it is that place
FIRST_PAUSE = 0.125  # multiplies empty_relook_s: an object that enters is soon in full view
MAX_EMPTY_FACTOR = 16  # the pause at a place that stays empty doubles up to this factor
GHOST_ACTIVITY = 0.1  # an empty place that changes less than this is absorbed by the background
OTHER_VIEW = 0.2  # share by which a box grows for another view of it
FOLLOW_MARGIN = 0.5  # share of its size by which a blob grows to be found again in the next frame
TENTATIVE_FACTOR = 0.5  # multiplies relook_s for a track that is not confirmed yet
FILL_URGENCY = 0.5  # a subject this urgent may fill a free cell, though it is not due
REMEMBERED_PAUSES = 2  # an empty place is remembered after its pause for this many more
MIN_PERIOD_S = 1e-3  # avoids a division by zero: with 0 s, a track is due at each frame
TOKEN_EPSILON = 1e-9  # a rounding error must not cost an invocation


class Reason(enum.IntEnum):
    """Why a place gets an invocation; smaller is more urgent."""

    MOTION = 0
    TENTATIVE = 1
    MOVING = 2
    STANDING = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """A place that an invocation could examine.

    urgency: due from 1 on; among subjects with the same reason, the larger goes first.
    activity: for motion, the share of the blob that still changes; 1 for a track.
    empty_looks: looks at this place that detected no object.
    soft: for motion, whether it has no edges, as light has none.
    """

    box_xyxy: Box
    reason: Reason
    urgency: float
    activity: float = 1.0
    empty_looks: int = 0
    soft: bool = False

    @property
    def due(self) -> bool:
        return self.urgency >= 1

    @property
    def is_ghost(self) -> bool:
        """Whether, if this look is empty too, the place can become background."""
        return self.activity < GHOST_ACTIVITY and self.empty_looks > 0

    @property
    def view_xyxy(self) -> Box:
        """The box to show: every second look at a place that is still shows more around it.

        The same crop would get the same answer again.
        """
        if self.activity >= GHOST_ACTIVITY or self.empty_looks % 2 == 0:
            return self.box_xyxy
        return _box(grown(np.array([self.box_xyxy], np.float32), OTHER_VIEW)[0])


@dataclass(frozen=True, slots=True)
class Plan:
    """Work for one frame.

    whole: examine the whole picture first, even if no budget is left.
    subjects: places to examine, the most important first. Those that are not due only fill cells.
    invocations: how many the budget allows for the subjects.
    """

    whole: bool
    subjects: list[Subject]
    invocations: int


@dataclass(frozen=True, slots=True)
class MotionOutcome:
    """A place with motion that was examined, and whether there was an object.

    soft: as in `Subject`.
    """

    box_xyxy: Box
    has_object: bool
    soft: bool = False


@dataclass(slots=True)
class _EmptyPlace:
    box_xyxy: Box
    until_ns: int
    pause_s: float
    looks: int = 1


class Scheduler:
    """Spends the budget of one camera: `plan` once per frame, then `report` the work done."""

    def __init__(self, settings: SchedulerSettings, agreeing_looks: int = 2) -> None:
        """agreeing_looks: a new object is examined in each frame until this many detected it."""
        self.apply(settings, agreeing_looks)
        self._tokens = float(settings.burst)
        self._refilled_ns: int | None = None
        self._whole_ns: int | None = None
        self._empty: list[_EmptyPlace] = []
        self._kinds = EmptyKinds()

    def apply(self, settings: SchedulerSettings, agreeing_looks: int) -> None:
        """Uses new settings from the next frame on; the budget that was saved stays."""
        self._settings = settings
        self._agreeing_looks = min(agreeing_looks, LOOKS_KEPT - 1)

    def plan(
        self,
        timestamp_ns: int,
        blobs_xyxy: Boxes,
        activity: npt.NDArray[np.float32],
        tracks: Sequence[Track],
        *,
        soft: npt.NDArray[np.bool_] | None = None,
        scene_change: bool = False,
        budget_share: float = 1.0,
    ) -> Plan:
        """The places to examine in the frame with this time.

        blobs_xyxy: (n, 4) float32, main pixels. activity: (n,) float32, see `Motion`.
        soft: (n,), see `Motion`; None if none is.
        budget_share: of the configured invocations per second; less when the machine is hot.
        """
        self._refill(timestamp_ns, budget_share)
        whole = self._whole_is_due(timestamp_ns, scene_change)
        subjects: list[Subject] = []
        if len(blobs_xyxy) or tracks:
            soft = np.zeros(len(blobs_xyxy), np.bool_) if soft is None else soft
            subjects = self._subjects(timestamp_ns, blobs_xyxy, activity, soft, tracks)
        left = self._tokens - 1 if whole else self._tokens
        return Plan(whole, subjects, max(0, int(left + TOKEN_EPSILON)))

    def report(
        self, timestamp_ns: int, invocations: int, outcomes: Sequence[MotionOutcome] = ()
    ) -> None:
        """Records the work that was done for the plan with this time.

        invocations: how many were made, including the whole picture, which may leave a debt.
        outcomes: one for each place with motion that was examined.
        """
        self._tokens -= invocations
        if outcomes:
            self._kinds.report(
                np.array([outcome.box_xyxy for outcome in outcomes], np.float32),
                np.array([outcome.soft for outcome in outcomes]),
                np.array([outcome.has_object for outcome in outcomes]),
                timestamp_ns,
                self._settings.empty_relook_s,
            )
        for outcome in outcomes:
            if outcome.has_object:
                self._forget_place(outcome.box_xyxy)
            else:
                self._pause_place(outcome.box_xyxy, timestamp_ns)

    def _refill(self, timestamp_ns: int, budget_share: float) -> None:
        if self._refilled_ns is not None:
            elapsed_s = (timestamp_ns - self._refilled_ns) / NS_PER_S
            earned = elapsed_s * self._settings.invocations_per_s * budget_share
            self._tokens = min(self._tokens + earned, float(self._settings.burst))
        self._refilled_ns = timestamp_ns

    def _whole_is_due(self, timestamp_ns: int, scene_change: bool) -> bool:
        """Whether there is a new scene, or the slow sweep is due."""
        sweep_ns = self._settings.sweep_s * NS_PER_S
        swept = self._whole_ns is not None and (
            sweep_ns == 0 or timestamp_ns - self._whole_ns < sweep_ns
        )
        if swept and not scene_change:
            return False
        self._whole_ns = timestamp_ns
        return True

    def _subjects(
        self,
        timestamp_ns: int,
        blobs_xyxy: Boxes,
        activity: npt.NDArray[np.float32],
        soft: npt.NDArray[np.bool_],
        tracks: Sequence[Track],
    ) -> list[Subject]:
        self._forget_old_places(timestamp_ns)
        self._follow_places(blobs_xyxy)
        subjects = [self._of_track(track, timestamp_ns) for track in tracks]
        nothing = self._kinds.paused(blobs_xyxy, soft, timestamp_ns)
        for row in np.flatnonzero(~_explained(blobs_xyxy, tracks)):
            box = _box(blobs_xyxy[row])
            if not self._is_paused(box, timestamp_ns):
                active = float(activity[row])
                urgency = FILL_URGENCY if nothing[row] else 1 + active
                looks = self._empty_looks(box)
                subjects.append(
                    Subject(box, Reason.MOTION, urgency, active, looks, bool(soft[row]))
                )
        subjects.sort(key=lambda s: (not s.due, s.reason if s.due else 0, -s.urgency))
        return [subject for subject in subjects if subject.urgency >= FILL_URGENCY]

    def _of_track(self, track: Track, timestamp_ns: int) -> Subject:
        last_ns = track.looks[-1].timestamp_ns if track.looks else track.last_seen_ns
        waited_s = (timestamp_ns - last_ns) / NS_PER_S
        if self._is_undecided(track):
            return Subject(track.box_xyxy, Reason.TENTATIVE, 1 + waited_s)
        match track.state:
            case TrackState.TENTATIVE:
                reason, period_s = Reason.TENTATIVE, self._settings.relook_s * TENTATIVE_FACTOR
            case TrackState.STATIONARY if track.misses == 0:
                reason, period_s = Reason.STANDING, self._settings.standing_relook_s
            case _:
                reason, period_s = Reason.MOVING, self._settings.relook_s
        return Subject(track.box_xyxy, reason, waited_s / max(period_s, MIN_PERIOD_S))

    def _is_undecided(self, track: Track) -> bool:
        """Whether too few looks agree yet, however sure the first was; one of them may miss it."""
        detected = sum(not look.missed for look in track.looks)
        return detected < self._agreeing_looks >= len(track.looks)

    def _pause_place(self, box_xyxy: Box, timestamp_ns: int) -> None:
        """Motion that was not an object gets no invocation for a while, longer each time."""
        pause_s = self._settings.empty_relook_s * FIRST_PAUSE
        longest_s = self._settings.empty_relook_s * MAX_EMPTY_FACTOR
        looks = 1 + self._empty_looks(box_xyxy)
        for place in self._empty:
            if _same_place(place.box_xyxy, box_xyxy):
                pause_s = max(pause_s, min(place.pause_s * 2, longest_s))
        self._forget_place(box_xyxy)
        until_ns = timestamp_ns + round(pause_s * NS_PER_S)
        self._empty.append(_EmptyPlace(box_xyxy, until_ns, pause_s, looks))

    def _empty_looks(self, box_xyxy: Box) -> int:
        """Looks at a place in a row that detected no object."""
        known = (p.looks for p in self._empty if _same_place(p.box_xyxy, box_xyxy))
        return max(known, default=0)

    def _follow_places(self, blobs_xyxy: Boxes) -> None:
        """Moves an empty place with its blob: a car, a shadow or a flake that passes by."""
        if not self._empty or len(blobs_xyxy) == 0:
            return
        places = np.array([place.box_xyxy for place in self._empty], np.float32)
        overlap = iou(grown(places, FOLLOW_MARGIN), grown(blobs_xyxy, FOLLOW_MARGIN))
        for place, shared in zip(self._empty, overlap, strict=True):
            if shared.max() > SAME_PLACE_IOU:
                place.box_xyxy = _box(blobs_xyxy[shared.argmax()])

    def _forget_place(self, box_xyxy: Box) -> None:
        self._empty = [p for p in self._empty if not _same_place(p.box_xyxy, box_xyxy)]

    def _forget_old_places(self, timestamp_ns: int) -> None:
        """Keeps a place for some time after its pause, so that its next pause can double."""
        shortest_s = self._settings.empty_relook_s
        self._empty = [
            place
            for place in self._empty
            if timestamp_ns
            < place.until_ns + REMEMBERED_PAUSES * max(place.pause_s, shortest_s) * NS_PER_S
        ]

    def _is_paused(self, box_xyxy: Box, timestamp_ns: int) -> bool:
        return any(
            timestamp_ns < place.until_ns and _same_place(place.box_xyxy, box_xyxy)
            for place in self._empty
        )


def _box(row: npt.NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def _same_place(a_xyxy: Box, b_xyxy: Box) -> bool:
    a, b = np.array([a_xyxy], np.float32), np.array([b_xyxy], np.float32)
    return bool(iou(a, b)[0, 0] > SAME_PLACE_IOU)


def _explained(blobs_xyxy: Boxes, tracks: Sequence[Track]) -> npt.NDArray[np.bool_]:
    """(n,) whether the larger part of each blob lies inside tracks."""
    if not tracks or len(blobs_xyxy) == 0:
        return np.zeros(len(blobs_xyxy), np.bool_)
    boxes = np.array([track.box_xyxy for track in tracks], np.float32)
    return np.asarray(covered(blobs_xyxy, grown(boxes, TRACK_MARGIN)).sum(axis=1) > EXPLAINED)
