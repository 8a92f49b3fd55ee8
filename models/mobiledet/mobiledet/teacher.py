"""Labels for one picture by a larger model that may look at it many times.

The model looks at overlapping tiles of two scales, and at each tile's mirror image. Boxes are fused
as in Weighted Boxes Fusion (Solovyev et al., 2021): the mean of all that overlap, weighted by
score. The fused score is the average over all looks that show the whole box.
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

# With these, labels have a precision of .98 and a recall of .88 on twenty frames of PETS 2009 S2.L1
# (docs/training.md, Distil).
ENLARGED = (1.0, 1.5)  # canvas pixels for each main pixel: tiles at native scale, and enlarged
OVERLAP = 0.4  # share of a tile that its neighbour shows too, for objects that the tile cuts
MIN_SCORE = 0.1  # of a single look
SAME_IOU = 0.5  # boxes of one class that overlap more are one object, as in Pascal VOC
SURE, UNSURE = 0.5, 0.2  # lowest fused score of a label, and of a place to ignore
SHOWN = 0.99  # share of a box that a view must show: all of it, apart from rounding


@dataclass(frozen=True, slots=True)
class Opinion:
    """A teacher's result for one picture. Boxes are in its pixels.

    sure: objects, with fused scores from SURE. unsure_xyxy: (k, 4) places to ignore.
    """

    sure: Detections
    unsure_xyxy: Boxes


def look(detector: Detector, image: npt.NDArray[np.uint8]) -> Opinion:
    """Runs the detector on all tiles. image: (h, w, 3) RGB."""
    size = (image.shape[1], image.shape[0])
    layouts = [
        layout
        for enlarged in ENLARGED
        for layout in tiles(detector.input_size, size, enlarged=enlarged, overlap=OVERLAP)
    ]
    parts = [
        _detect(detector, image, layout, mirrored=mirrored)
        for layout in layouts
        for mirrored in (False, True)
    ]
    crops = np.concatenate([layout.subjects_xyxy for layout in layouts])
    views = np.repeat(crops, 2, axis=0)
    fused = fuse(Detections.concatenate(parts), views)
    unsure = (fused.scores >= UNSURE) & (fused.scores < SURE)
    return Opinion(fused[fused.scores >= SURE], fused.boxes_xyxy[unsure])


def fuse(detections: Detections, views_xyxy: Boxes) -> Detections:
    """Fuses detections that overlap. All boxes are main pixels.

    detections: of all views together. views_xyxy: (v, 4) the part of the picture in each view.
    """
    order = np.argsort(-detections.scores, kind="stable")
    left = detections[order]
    boxes, scores, class_ids = [], [], []
    while len(left):
        same = iou(left.boxes_xyxy[:1], left.boxes_xyxy)[0] > SAME_IOU
        same &= left.class_ids == left.class_ids[0]
        same[0] = True
        group = left[same]
        box = np.average(group.boxes_xyxy, axis=0, weights=group.scores)
        able = max((covered(box[None], views_xyxy) > SHOWN).sum(), len(group), 1)
        boxes.append(box)
        scores.append(group.scores.sum() / able)
        class_ids.append(group.class_ids[0])
        left = left[~same]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids, np.int64),
    )


def _detect(
    detector: Detector, image: npt.NDArray[np.uint8], layout: Layout, *, mirrored: bool
) -> Detections:
    """Detections in one tile, in main pixels, without those that the tile cuts."""
    x0, y0, x1, y1 = layout.cells[0].crop_xyxy
    canvas = cv2.resize(image[y0:y1, x0:x1], detector.input_size)
    turned = np.ascontiguousarray(canvas[:, ::-1] if mirrored else canvas).astype(np.uint8)
    detections = detector.detect(turned, MIN_SCORE)
    boxes = detections.boxes_xyxy
    if mirrored:
        boxes = boxes.copy()
        boxes[:, [0, 2]] = detector.input_size[0] - boxes[:, [2, 0]]
    upright = Detections(boxes, detections.scores, detections.class_ids)
    return unpack(layout, upright, (image.shape[1], image.shape[0]))[0]
