"""Tracks of the objects that a teacher finds, followed between its looks.

Between two looks the tracker follows the pixels by optical flow, as in the daemon, so that one look
per second is enough to distinguish objects.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from edge.config.schema import Settings
from edge.errors import ConfigError
from edge.vision.flow import Flow
from edge.vision.geometry import Box, Boxes
from edge.vision.tracker import Tracker
from edge.vision.types import Frame, Luma, SourceInfo
from mobiledet.harvest.teacher import Teacher
from mobiledet.harvest.trails import Sighting, Trail

# Chosen: number of looks in a row without the object, after which it is not expected there.
MISSES = 3


class TeacherTracks:
    """Takes the frames of one footage, in order of time."""

    def __init__(
        self, teacher: Teacher, settings: Settings, info: SourceInfo, only: frozenset[str]
    ) -> None:
        """only: labels to use, empty = all. Raises ConfigError for an unknown one."""
        if unknown := sorted(only - set(teacher.labels)):
            known = ", ".join(teacher.labels)
            raise ConfigError(f"--only {unknown[0]}: the teacher's labels are {known}")
        self._teacher, self._settings = teacher, settings
        self._is_used = np.array([not only or label in only for label in teacher.labels])
        self._strong = teacher.min_score
        self._tracker = Tracker(settings.tracker, teacher.labels, self._strong, info.main_size)
        self._flow = Flow(info.luma_shape, info.main_size)
        self._whole = np.array([[0, 0, *info.main_size]], np.float32)
        self._sightings: dict[tuple[int, str], list[Sighting]] = defaultdict(list)
        self._unclear: list[tuple[int, Box]] = []

    def __call__(
        self, frame: Frame, moving_mask: Luma, time_s: float, moving_xyxy: Boxes | None
    ) -> None:
        """Takes the next frame.

        moving_mask: (h, w) uint8, 255 where the luma plane moves. moving_xyxy: (n, 4) boxes that
        move, if the teacher is to look at this frame; otherwise None.
        """
        shifts = self._flow(frame.luma, self._tracker.boxes_xyxy)
        self._tracker.predict(frame.timestamp_ns, shifts)
        if moving_xyxy is not None:
            self._look(frame, time_s, moving_xyxy)
        self._flow.keep(frame.luma, moving_mask)

    def _look(self, frame: Frame, time_s: float, moving_xyxy: Boxes) -> None:
        detections = self._teacher.look(frame, moving_xyxy)
        detections = detections[self._is_used[detections.class_ids]]
        ids = self._tracker.update(detections, self._whole, frame.index)
        rows = zip(ids.tolist(), detections.boxes_xyxy.tolist(), detections.scores.tolist(),
                   detections.class_ids.tolist(), strict=True)  # fmt: skip
        for track_id, (x0, y0, x1, y1), score, class_id in rows:
            box, label = (x0, y0, x1, y1), self._teacher.labels[class_id]
            if track_id:
                sighting = Sighting(frame.index, time_s, box, score=score, label=label)
                # The tracker may join two drawn figures that meet; their labels distinguish them.
                key = track_id, label if self._teacher.exact else ""
                self._sightings[key].append(sighting)
            else:
                self._unclear.append((frame.index, box))
        if not self._teacher.exact:
            self._unclear += [
                (frame.index, track.box_xyxy)
                for track in self._tracker.tracks()
                if 0 < track.misses <= MISSES
            ]

    def result(self) -> tuple[list[Trail], list[tuple[int, Box]]]:
        """Convincing trails with their labels, and (frame index, box) of all other sightings."""
        trails, unclear = [], list(self._unclear)
        for sightings in self._sightings.values():
            if self._convinces(sightings):
                trails.append(Trail(sightings, _main_label(sightings)))
            else:
                unclear += [(sighting.frame_index, sighting.box_xyxy) for sighting in sightings]
        return trails, unclear

    def _convinces(self, sightings: list[Sighting]) -> bool:
        """The tracker's own rule for a confirmed track."""
        tracking = self._settings.tracker
        strong = [sighting for sighting in sightings if sighting.score >= self._strong]
        best = max(sighting.score for sighting in sightings)
        return len(strong) >= tracking.confirm_looks or best >= tracking.sure_score


def _main_label(sightings: list[Sighting]) -> str:
    """The label with the highest sum of scores."""
    votes: dict[str, float] = defaultdict(float)
    for sighting in sightings:
        votes[sighting.label] += sighting.score
    return max(votes, key=lambda label: votes[label])
