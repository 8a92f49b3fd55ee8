"""Classical tests that detect trails that are not objects.

The outline test follows Yin, Makris & Velastin, "Real-time ghost removal for foreground
segmentation methods", 2008. An object adds edges along its outline that the empty scene lacks. A
ghost, the hole that an object has left in the background, adds none. The other tests are for
temporal consistency, after Lipton, Fujiyoshi & Patil, "Moving target classification and tracking
from real-time video", 1998: an object leaves its first place, and keeps its size from frame to
frame.

The thresholds gave the figures in docs/training.md, "Quality of the harvest".
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.types import Luma
from mobiledet.harvest.trails import Trail

MARGIN_PX = 2  # around a blob, so that its outline lies inside the crop
GHOST_EDGES = 0.42  # with a lower share of edges in the frame, the object is in the background
ALL_GHOST = 0.8  # share of ghostly sightings above which the whole trail is a ghost
BRIEF_S, BRIEF_SIGHTINGS = 0.6, 4  # a shorter trail is too short to judge
MOVED = 0.5  # distance from its first place, as a multiple of its median longer side
FLICKER = 0.3  # median change of the logarithm of its area from frame to frame
STEADY = 1.5  # factor to the median area around it, beyond which a group has met or separated
AROUND_S = 3.0  # before and after a sighting

GHOST, BRIEF, STILL, FLICKERS = "ghost", "brief", "still", "flickers"


def edge_share(
    luma: Luma, background: Luma, mask: Luma, box_xyxy: tuple[int, int, int, int]
) -> float:
    """Edges along a blob's outline in the frame, over those in frame and background: 0..1.

    All three planes are (h, w) uint8, the mask 255 in blobs; the box is in their pixels. The share
    is 0.5 where neither has any edges.
    """
    height, width = mask.shape
    x0, y0, x1, y1 = box_xyxy
    x0, y0 = max(x0 - MARGIN_PX, 0), max(y0 - MARGIN_PX, 0)
    part = np.s_[y0 : min(y1 + MARGIN_PX, height), x0 : min(x1 + MARGIN_PX, width)]
    outline = cv2.morphologyEx(mask[part], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    in_frame, in_ground = _gradient(luma[part], outline), _gradient(background[part], outline)
    both = in_frame + in_ground
    return in_frame / both if both > 0 else 0.5


def _gradient(plane: Luma, where: npt.NDArray[np.bool_]) -> float:
    dx = cv2.Sobel(plane, cv2.CV_16S, 1, 0)
    dy = cv2.Sobel(plane, cv2.CV_16S, 0, 1)
    return float((np.abs(dx) + np.abs(dy))[where].sum())


def fault(trail: Trail) -> str:
    """The reason why a trail is probably not an object, or "" if it passes all tests."""
    sightings = trail.sightings
    duration_s = sightings[-1].time_s - sightings[0].time_s
    if len(sightings) < BRIEF_SIGHTINGS or duration_s < BRIEF_S:
        return BRIEF
    if _ghostly(trail).mean() > ALL_GHOST:
        return GHOST
    if _flickers(trail.boxes_xyxy()):
        return FLICKERS
    return "" if _leaves_its_place(trail) else STILL


def _flickers(boxes_xyxy: npt.NDArray[np.float32]) -> bool:
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    areas = np.log(np.maximum(sides.prod(axis=1), 1))
    return float(np.median(np.abs(np.diff(areas)))) > FLICKER


def _leaves_its_place(trail: Trail) -> bool:
    boxes = trail.boxes_xyxy()
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    start = np.median(centres[: BRIEF_SIGHTINGS - 1], axis=0)
    away = np.linalg.norm(centres - start, axis=1)
    # Not the largest distance: a blob that breaks up for a moment has not moved.
    reached = float(np.percentile(away, 90))
    sides = boxes[:, 2:] - boxes[:, :2]
    return reached >= MOVED * float(np.median(sides.max(axis=1)))


def steady(trail: Trail) -> npt.NDArray[np.bool_]:
    """(n,) whether a sighting shows the object alone, in its usual size around that time.

    If a track has stayed with the ghost that its object left, the ghost's sightings are not steady.
    """
    sides = trail.boxes_xyxy()[:, 2:] - trail.boxes_xyxy()[:, :2]
    areas = sides.prod(axis=1)
    usual = _median_around(trail, areas)
    ghostly = _ghostly(trail)
    met = np.array([sighting.met for sighting in trail.sightings])
    sized = (areas < STEADY * usual) & (areas > usual / STEADY)
    return np.asarray(sized & ~met & (~ghostly | (ghostly.mean() > ALL_GHOST)))


def _ghostly(trail: Trail) -> npt.NDArray[np.bool_]:
    """(n,) whether the outline is in the empty scene rather than in the frame."""
    edges = np.array([sighting.edges for sighting in trail.sightings], np.float32)
    return np.asarray(_median_around(trail, edges) < GHOST_EDGES)


def _median_around(trail: Trail, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n,) for each sighting: the median over those up to `AROUND_S` before or after it."""
    times_s = np.array([sighting.time_s for sighting in trail.sightings])
    low = np.searchsorted(times_s, times_s - AROUND_S)
    high = np.searchsorted(times_s, times_s + AROUND_S, side="right")
    medians = [np.median(values[first:last]) for first, last in zip(low, high, strict=True)]
    return np.array(medians, np.float32)
