"""When each individual of the ground truth was examined, detected, tracked and reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.bench.ground_truth import Objects
from edge.bench.strategies import Step
from edge.config.schema import TriggerRule
from edge.vision.geometry import Box, Boxes, covered, grown, iou
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Track, TrackState

MOMENTS = ("blob", "look", "detection", "track", "rule", "trigger")
MATCH_IOU = 0.3  # of a box with its individual: enough to be about it, however it is framed
BLOB_SHARE = 0.2  # of an individual that lies in one blob: motion shows it
LOOK_SHARE = 0.9  # of an individual that lies in a crop: the detector can see it
EARLY_S = 1.0  # ground truth may begin this much after an object can be seen
EARLY_MARGIN = 0.5  # share by which both boxes grow: it may walk half a width or height meanwhile
NEWCOMER_S = 1.0  # an individual that appears later than this in a run is a newcomer
ACCURACY_IOU = 0.5  # for precision and recall, as in MOTChallenge


@dataclass(slots=True)
class Individual:
    """One identity of the ground truth: its first frame and the frame of each first moment."""

    first: int
    box_xyxy: Box
    moments: dict[str, int] = field(default_factory=dict)
    triggers: int = 0

    def waited(self, moment: str, since: str = "") -> int | None:
        """Frames from its first frame, or from a moment, to a moment; None if that never came."""
        start = self.moments.get(since) if since else self.first
        end = self.moments.get(moment)
        return None if start is None or end is None else max(0, end - start)


class Individuals:
    """Follows all individuals of one run, frame by frame."""

    def __init__(self, truth: Sequence[Objects], fps: float, rule: TriggerRule) -> None:
        """truth: of each frame of the run. rule: the one that `Step.events` are about."""
        self.by_id: dict[int, Individual] = {}
        for frame, objects in enumerate(truth):
            for identity, box in zip(objects.ids.tolist(), objects.boxes_xyxy, strict=True):
                self.by_id.setdefault(identity, Individual(frame, tuple(box.tolist())))
        self.false_triggers = 0
        self.right = self.reported = self.real = 0
        self._early = round(EARLY_S * fps)
        self._newcomer = round(NEWCOMER_S * fps)
        self._rule = rule
        self._shown: dict[tuple[int, int], int] = {}  # identity, by track and frame of a look

    def newcomers(self) -> list[Individual]:
        return [one for one in self.by_id.values() if one.first >= self._newcomer]

    def __call__(self, index: int, truth: Objects, step: Step) -> None:
        """Notes the moments of one frame."""
        self._count(truth, step.objects)
        for identity in _moving(truth, step.blobs_xyxy):
            self._note(index, identity, "blob")
        if len(step.crops_xyxy) == 0:
            return
        shown = covered(truth.boxes_xyxy, step.crops_xyxy).max(axis=1, initial=0) > LOOK_SHARE
        for identity in truth.ids[shown].tolist():
            self._note(index, identity, "look")
        for identity in self._owners(index, truth, step.detections_xyxy).values():
            self._note(index, identity, "look")
            self._note(index, identity, "detection")
        seen = [track for track in step.tracks if track.looks and not track.looks[-1].missed]
        owners = self._owners(index, truth, _boxes([track.box_xyxy for track in seen]))
        for row, identity in owners.items():
            track = seen[row]
            self._shown[track.id, track.looks[-1].frame_index] = identity
            if track.state is not TrackState.TENTATIVE:
                self._note(index, identity, "track")
            if self._is_met(track, identity):
                self._note(index, identity, "rule")
        self._note_triggers(index, truth, step.events, set(owners.values()))

    def _note_triggers(
        self, index: int, truth: Objects, events: Sequence[TriggerEvent], tracked: set[int]
    ) -> None:
        """tracked: individuals with a track. A box that holds two people reports both.

        The one that has no track of its own then counts as triggered, though not as a repeat.
        """
        boxes = _boxes([event.confirmed[-1].box_xyxy for event in events])
        owners = self._owners(index, truth, boxes)
        self.false_triggers += len(boxes) - len(owners)
        for identity in owners.values():
            self._note(index, identity, "trigger")
            self.by_id[identity].triggers += 1
        for identity in self._overlapped(index, truth, boxes) - tracked:
            self._note(index, identity, "trigger")

    def _overlapped(self, index: int, truth: Objects, boxes_xyxy: Boxes) -> set[int]:
        """Individuals that a box shows, also those that are named a moment later."""
        shown = iou(truth.boxes_xyxy, boxes_xyxy).max(axis=1, initial=0) >= MATCH_IOU
        soon = self._soon(index)
        near = iou(soon.boxes_xyxy, boxes_xyxy).max(axis=1, initial=0) >= MATCH_IOU
        return {*truth.ids[shown].tolist(), *soon.ids[near].tolist()}

    def _soon(self, index: int) -> Objects:
        """The individuals whose ground truth begins within a moment, at their first boxes."""
        found = [
            (identity, one.box_xyxy)
            for identity, one in self.by_id.items()
            if index < one.first <= index + self._early
        ]
        ids, boxes = [identity for identity, _ in found], [box for _, box in found]
        return Objects(np.array(ids, np.int64), _boxes(boxes))

    def _note(self, index: int, identity: int, moment: str) -> None:
        self.by_id[identity].moments.setdefault(moment, index)

    def _count(self, truth: Objects, reported: Objects) -> None:
        self.right += sum(1 for _ in pairs(truth, reported.boxes_xyxy, ACCURACY_IOU))
        self.reported += len(reported.ids)
        self.real += len(truth.ids)

    def _owners(self, index: int, truth: Objects, boxes_xyxy: Boxes) -> dict[int, int]:
        """The individual that each box (by its row) is about, if any.

        A box that is about none of the frame may be about one that the ground truth names a moment
        later, near there.
        """
        owners = {row: identity for identity, row in pairs(truth, boxes_xyxy)}
        soon = self._soon(index)
        free = np.array([row for row in range(len(boxes_xyxy)) if row not in owners], np.intp)
        if len(soon.ids) and len(free):
            around = Objects(soon.ids, grown(soon.boxes_xyxy, EARLY_MARGIN))
            near = pairs(around, grown(boxes_xyxy[free], EARLY_MARGIN))
            owners |= {int(free[row]): identity for identity, row in near}
        return owners

    def _is_met(self, track: Track, identity: int) -> bool:
        """Whether looks at this individual meet the rule now, whatever the track triggered before.

        Looks at another individual, from whom the track came over, do not count.
        """
        window = track.looks[-self._rule.of_last :]
        meeting = [
            look
            for look in window
            if look.score >= self._rule.min_score
            and self._shown.get((track.id, look.frame_index)) == identity
        ]
        return len(meeting) >= self._rule.confirm and meeting[-1] is window[-1]


def pairs(
    truth: Objects, boxes_xyxy: Boxes, min_iou: float = MATCH_IOU
) -> Iterator[tuple[int, int]]:
    """(identity, row of a box), each at most once, greedily by overlap."""
    overlap = iou(truth.boxes_xyxy, boxes_xyxy)
    while overlap.size and overlap.max() >= min_iou:
        one, row = divmod(int(overlap.argmax()), overlap.shape[1])
        yield int(truth.ids[one]), row
        overlap[one], overlap[:, row] = -1, -1


def _moving(objects: Objects, blobs_xyxy: Boxes) -> list[int]:
    """Identities of the objects that motion shows."""
    if len(blobs_xyxy) == 0 or len(objects.ids) == 0:
        return []
    inside = covered(objects.boxes_xyxy, blobs_xyxy).max(axis=1, initial=0)
    return [int(identity) for identity in objects.ids[inside > BLOB_SHARE]]


def _boxes(rows: Sequence[Sequence[float]]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)
