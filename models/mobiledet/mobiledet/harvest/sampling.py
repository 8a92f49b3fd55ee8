"""Which moments become pictures: those that show something new.

A track is new where it is first seen and where it has left the place that it had in its last
picture, so that what stands is not kept a thousand times. Of the scene without any object a picture
is kept now and then: it shows a detector what isn't one.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from edge.vision.geometry import iou
from mobiledet.harvest.trails import Moment, Sight, Watched, boxes_of

SAME_PLACE_IOU = 0.7
EMPTY_EVERY_S = 30.0


def choose(watched: Watched, limit: int = 0) -> list[Moment]:
    """In order of time, at most `limit` (0 = no limit), evenly thinned."""
    present: dict[int, list[tuple[int, Sight]]] = defaultdict(list)
    for number, trail in enumerate(watched.trails):
        for sight in trail.sights if not trail.fault else ():
            present[sight.frame_index].append((number, sight))
    kept: dict[int, Sight] = {}
    chosen: list[Moment] = []
    empty_s = -EMPTY_EVERY_S
    for moment in watched.moments:
        here = present.get(moment.frame_index, [])
        if any(_is_new(kept.get(number), sight) for number, sight in here):
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


def _is_new(before: Sight | None, now: Sight) -> bool:
    if before is None:
        return True
    return bool(iou(boxes_of([before.box_xyxy]), boxes_of([now.box_xyxy]))[0, 0] < SAME_PLACE_IOU)
