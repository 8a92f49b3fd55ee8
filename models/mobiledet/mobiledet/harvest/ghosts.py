"""Which moving places are no objects: classical tests on a trail.

The outline test is after Yin, Makris & Velastin, "Real-time ghost removal for foreground
segmentation methods", 2008: an object brings edges along its outline that the empty scene hasn't,
while a ghost, the hole that something has left in the background, has none there. That something
must get away from where it was first seen, and keep its size from frame to frame, is temporal
consistency after Lipton, Fujiyoshi & Patil, "Moving target classification and tracking from
real-time video", 1998.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.types import Luma
from mobiledet.harvest.trails import Trail

MARGIN_PX = 2  # around a blob, so that its outline lies within the crop
GHOST_EDGES = 0.42  # a lower share of edges in the frame: the background has the object
ALL_GHOST = 0.8  # of its sights: it was never anything else
BRIEF_S, BRIEF_SIGHTS = 0.6, 4
MOVED = 0.5  # of its median longer side
FLICKER = 0.3  # median change of the area from frame to frame, as a logarithm
STEADY = 1.5  # times the median area around it; more is a group that met or fell apart
AROUND_S = 3.0  # before and after

GHOST, BRIEF, STILL, FLICKERS = "ghost", "brief", "still", "flickers"


def edge_share(
    luma: Luma, background: Luma, mask: Luma, box_xyxy: tuple[int, int, int, int]
) -> float:
    """Edges along a blob's outline in the frame, over those in frame and background: 0..1.

    All three (h, w) uint8, the mask 255 in blobs; the box in their pixels. 0.5 where neither has
    any.
    """
    height, width = mask.shape
    x0, y0, x1, y1 = box_xyxy
    x0, y0 = max(x0 - MARGIN_PX, 0), max(y0 - MARGIN_PX, 0)
    part = np.s_[y0 : min(y1 + MARGIN_PX, height), x0 : min(x1 + MARGIN_PX, width)]
    outline = cv2.morphologyEx(mask[part], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    own, ground = _gradient(luma[part], outline), _gradient(background[part], outline)
    return own / (own + ground) if own + ground > 0 else 0.5


def _gradient(plane: Luma, where: npt.NDArray[np.bool_]) -> float:
    dx = cv2.Sobel(plane, cv2.CV_16S, 1, 0)
    dy = cv2.Sobel(plane, cv2.CV_16S, 0, 1)
    return float((np.abs(dx) + np.abs(dy))[where].sum())


def fault(trail: Trail) -> str:
    """Why a trail is probably no object; "" if nothing speaks against it."""
    sights = trail.sights
    boxes = trail.boxes_xyxy()
    if len(sights) < BRIEF_SIGHTS or sights[-1].time_s - sights[0].time_s < BRIEF_S:
        return BRIEF
    if _ghostly(trail).mean() > ALL_GHOST:
        return GHOST
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = np.log(np.maximum(sides.prod(axis=1), 1))
    if float(np.median(np.abs(np.diff(areas)))) > FLICKER:
        return FLICKERS
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    start = np.median(centres[: BRIEF_SIGHTS - 1], axis=0)
    away = np.linalg.norm(centres - start, axis=1)
    # Not the largest: a blob that breaks up for a moment has gone nowhere.
    reached = float(np.percentile(away, 90))
    return STILL if reached < MOVED * float(np.median(sides.max(axis=1))) else ""


def steady(trail: Trail) -> npt.NDArray[np.bool_]:
    """(n,) whether each sight shows the object alone, in the size that it has around that time.

    Where an object has left a ghost that its track stayed with, the ghost's sights are not steady.
    """
    sides = trail.boxes_xyxy()[:, 2:] - trail.boxes_xyxy()[:, :2]
    areas = sides.prod(axis=1)
    usual = _median_around(trail, areas)
    ghostly = _ghostly(trail)
    met = np.array([sight.met for sight in trail.sights])
    sized = (areas < STEADY * usual) & (areas > usual / STEADY)
    return np.asarray(sized & ~met & (~ghostly | (ghostly.mean() > ALL_GHOST)))


def _ghostly(trail: Trail) -> npt.NDArray[np.bool_]:
    """(n,) where the empty scene has the outline, and not the frame."""
    edges = np.array([sight.edges for sight in trail.sights], np.float32)
    return np.asarray(_median_around(trail, edges) < GHOST_EDGES)


def _median_around(trail: Trail, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n,) of each sight: the median over those at most `AROUND_S` before or after it."""
    times_s = np.array([sight.time_s for sight in trail.sights])
    low = np.searchsorted(times_s, times_s - AROUND_S)
    high = np.searchsorted(times_s, times_s + AROUND_S, side="right")
    medians = [np.median(values[first:last]) for first, last in zip(low, high, strict=True)]
    return np.array(medians, np.float32)
