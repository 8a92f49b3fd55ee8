"""What a teacher saw at some moments, followed in between.

Between two looks the tracker is moved on by optical flow, as in the daemon, so that a look every
second is enough to know who is who.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from edge.config.schema import Settings
from edge.errors import ConfigError
from edge.vision.flow import Flow
from edge.vision.geometry import Box, Boxes
from edge.vision.tracker import Tracker
from edge.vision.types import Frame, Luma
from mobiledet.harvest.teacher import Teacher
from mobiledet.harvest.trails import Sight, Trail

MISSES = 3  # looks in a row after which nothing is expected any more where an object was


class Taught:
    """Follows the frames of one footage, in order of time."""

    def __init__(
        self,
        teacher: Teacher,
        settings: Settings,
        luma_shape: tuple[int, int],
        main_size: tuple[int, int],
        only: frozenset[str],
    ) -> None:
        """only: labels that count; empty = all. Raises ConfigError for one that isn't known."""
        if unknown := sorted(only - set(teacher.labels)):
            known = ", ".join(teacher.labels)
            raise ConfigError(f"--only {unknown[0]}: the teacher knows {known}")
        self._teacher, self._settings, self._main_size = teacher, settings, main_size
        self._counts = np.array([not only or label in only for label in teacher.labels])
        self._strong = settings.model.min_score
        self._tracker = Tracker(settings.tracker, teacher.labels, self._strong, main_size)
        self._flow = Flow(luma_shape, main_size)
        self._whole = np.array([[0, 0, *main_size]], np.float32)
        self._sights: dict[tuple[int, str], list[Sight]] = defaultdict(list)
        self._unclear: list[tuple[int, Box]] = []

    def __call__(
        self, frame: Frame, moving_mask: Luma, time_s: float, moving_xyxy: Boxes | None
    ) -> None:
        """Every frame, in order.

        moving_mask: (h, w) uint8, 255 where the luma plane moves. moving_xyxy: (n, 4) what moves,
        if this frame is to be looked at.
        """
        shifts = self._flow(frame.luma, self._tracker.boxes_xyxy)
        self._tracker.predict(frame.timestamp_ns, shifts)
        if moving_xyxy is not None:
            self._look(frame, time_s, moving_xyxy)
        self._flow.keep(frame.luma, moving_mask)

    def _look(self, frame: Frame, time_s: float, moving_xyxy: Boxes) -> None:
        found = self._teacher.look(frame, moving_xyxy)
        found = found[self._counts[found.class_ids]]
        ids = self._tracker.update(found, self._whole, frame.index)
        rows = zip(ids.tolist(), found.boxes_xyxy.tolist(), found.scores.tolist(),
                   found.class_ids.tolist(), strict=True)  # fmt: skip
        for number, (x0, y0, x1, y1), score, class_id in rows:
            box, label = (x0, y0, x1, y1), self._teacher.labels[class_id]
            if number:
                sight = Sight(frame.index, time_s, box, score=score, label=label)
                # Two drawn figures that meet may be one track to the tracker: not so their names.
                self._sights[number, label if self._teacher.exact else ""].append(sight)
            else:
                self._unclear.append((frame.index, box))
        if not self._teacher.exact:
            self._unclear += [
                (frame.index, track.box_xyxy)
                for track in self._tracker.tracks()
                if 0 < track.misses <= MISSES
            ]

    def result(self) -> tuple[list[Trail], list[tuple[int, Box]]]:
        """What convinced, by its frequent name, and (frame index, box) of what did not."""
        trails, unclear = [], list(self._unclear)
        for sights in self._sights.values():
            if self._convinces(sights):
                trails.append(Trail(sights, _frequent(sights)))
            else:
                unclear += [(sight.frame_index, sight.box_xyxy) for sight in sights]
        return trails, unclear

    def _convinces(self, sights: list[Sight]) -> bool:
        tracking = self._settings.tracker
        strong = [sight for sight in sights if sight.score >= self._strong]
        best = max(sight.score for sight in sights)
        return len(strong) >= tracking.confirm_looks or best >= tracking.sure_score


def _frequent(sights: list[Sight]) -> str:
    votes: dict[str, float] = defaultdict(float)
    for sight in sights:
        votes[sight.label] += sight.score
    return max(votes, key=lambda label: votes[label])
