"""Chooses the moments that become pictures: those that show something new.

A track is new when it first appears and when it has left its place in the last picture, so that an
object that stands still is not in a thousand pictures. The empty scene becomes a picture from time
to time, as an example of background.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from edge.vision.geometry import iou
from mobiledet.harvest.trails import Moment, Observations, Sighting, boxes_of

# Chosen, not measured: overlap from which on a box has not moved; time between empty scenes.
SAME_PLACE_IOU = 0.7
EMPTY_EVERY_S = 30.0


def choose(observations: Observations, limit: int = 0) -> list[Moment]:
    """Up to `limit` moments in order of time, thinned evenly (0 = no limit)."""
    present: dict[int, list[tuple[int, Sighting]]] = defaultdict(list)
    for number, trail in enumerate(observations.trails):
        for sighting in trail.sightings if not trail.fault else ():
            present[sighting.frame_index].append((number, sighting))
    kept: dict[int, Sighting] = {}
    chosen: list[Moment] = []
    empty_s = -EMPTY_EVERY_S
    for moment in observations.moments:
        here = present.get(moment.frame_index, [])
        if any(_is_new(kept.get(number), sighting) for number, sighting in here):
            kept.update(here)
        elif not here and moment.time_s - empty_s >= EMPTY_EVERY_S:
            empty_s = moment.time_s
        else:
            continue
        chosen.append(moment)
    if limit and len(chosen) > limit:
        rows = np.linspace(0, len(chosen) - 1, limit).round().astype(int)
        chosen = [chosen[row] for row in rows]
    return chosen


def _is_new(before: Sighting | None, now: Sighting) -> bool:
    if before is None:
        return True
    return bool(iou(boxes_of([before.box_xyxy]), boxes_of([now.box_xyxy]))[0, 0] < SAME_PLACE_IOU)
