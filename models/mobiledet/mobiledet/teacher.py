"""What a larger model sees in a picture when it may look as often as it likes.

A teacher looks at overlapping tiles of two scales, each also mirrored, and what its looks agree on
becomes a label. Boxes are fused as Weighted Boxes Fusion does (Solovyev et al., 2021): the mean of
all that overlap, weighted by score; the fused score is over all looks that could have seen it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.detector import Detector
from edge.vision.geometry import Boxes, covered, iou
from edge.vision.regions import Layout, tiles, unpack
from edge.vision.types import Detections

ENLARGED = (1.0, 1.5)  # tiles at native scale, and smaller ones that the input enlarges
OVERLAP = 0.4  # of neighbouring tiles: what one cuts, another shows whole
LEAST_SCORE = 0.1
SAME_IOU = 0.5
SURE, UNSURE = 0.5, 0.2  # fused scores of a label, and of a place to leave out of training


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture's labels. sure: from SURE up. unsure_xyxy: (k, 4), neither object nor nothing."""

    sure: Detections
    unsure_xyxy: Boxes


def look(detector: Detector, image: npt.NDArray[np.uint8]) -> Seen:
    """image: (h, w, 3) RGB."""
    size = (image.shape[1], image.shape[0])
    layouts = [
        layout
        for enlarged in ENLARGED
        for layout in tiles(detector.input_size, size, enlarged=enlarged, overlap=OVERLAP)
    ]
    found = [
        _one(detector, image, layout, mirrored=mirrored)
        for layout in layouts
        for mirrored in (False, True)
    ]
    crops = np.concatenate([layout.subjects_xyxy for layout in layouts])
    views = np.repeat(crops, 2, axis=0)
    fused = fuse(Detections.concatenate(found), views)
    unsure = (fused.scores >= UNSURE) & (fused.scores < SURE)
    return Seen(fused[fused.scores >= SURE], fused.boxes_xyxy[unsure])


def fuse(found: Detections, views_xyxy: Boxes) -> Detections:
    """found: what all views saw, main pixels. views_xyxy: (v, 4) what each view showed."""
    order = np.argsort(-found.scores, kind="stable")
    left = found[order]
    boxes, scores, class_ids = [], [], []
    while len(left):
        same = iou(left.boxes_xyxy[:1], left.boxes_xyxy)[0] > SAME_IOU
        same &= left.class_ids == left.class_ids[0]
        same[0] = True
        own = left[same]
        box = np.average(own.boxes_xyxy, axis=0, weights=own.scores)
        able = max((covered(box[None], views_xyxy) > 0.99).sum(), len(own), 1)
        boxes.append(box)
        scores.append(own.scores.sum() / able)
        class_ids.append(own.class_ids[0])
        left = left[~same]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids, np.int64),
    )


def _one(
    detector: Detector,
    image: npt.NDArray[np.uint8],
    layout: Layout,
    *,
    mirrored: bool,
) -> Detections:
    """What one look at one crop sees, main pixels, less what the crop cuts."""
    x0, y0, x1, y1 = layout.cells[0].crop_xyxy
    canvas = cv2.resize(image[y0:y1, x0:x1], detector.input_size)
    turned = np.ascontiguousarray(canvas[:, ::-1] if mirrored else canvas).astype(np.uint8)
    found = detector.detect(turned, LEAST_SCORE)
    boxes = found.boxes_xyxy
    if mirrored:
        boxes = boxes.copy()
        boxes[:, [0, 2]] = detector.input_size[0] - boxes[:, [2, 0]]
    flipped = Detections(boxes, found.scores, found.class_ids)
    return unpack(layout, flipped, (image.shape[1], image.shape[0]))[0]
