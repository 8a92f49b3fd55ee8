"""Models of MediaPipe's object detector without NMS: the anchors are in their metadata.

MediaPipe's TensorsToDetectionsCalculator, with the options that its Model Maker writes.
"""

from __future__ import annotations

import math

from edge.errors import ModelError
from edge.vision.detector.layouts import ssd
from edge.vision.detector.layouts.base import Clues, Decoding
from edge.vision.detector.model_file import DetectorSpec, checked_anchors


def match(clues: Clues) -> Decoding | None:
    options = clues.mediapipe
    if options is None or len(clues.outputs) != 2:
        return None
    anchors = checked_anchors(options.anchors, options.scales)
    widths = [one.shape[-1] for one in clues.outputs]
    places = [p for p in (0, 1) if widths[p] == options.coordinates and widths[1 - p]
              == options.class_count]  # fmt: skip
    if not places or options.coordinates < ssd.BOX:
        raise ModelError(f"its outputs {widths} differ from its metadata: {options.coordinates} "
                         f"coordinates and {options.class_count} classes")  # fmt: skip
    place = places[0] if len(places) == 1 else ssd.place_of_boxes(clues)
    boxes, scores = clues.outputs[place], clues.outputs[1 - place]
    if any(math.prod(one.shape[1:-1]) != len(anchors) for one in clues.outputs):
        raise ModelError(f"its outputs don't have a row for each of the {len(anchors)} anchors")
    background = int(clues.background and options.class_count in clues.counts)
    spec = DetectorSpec(
        name="",
        licence="",
        box_scales=options.scales,
        score="sigmoid" if options.sigmoid else "none",
        first_class_column=background,
    )
    decode = ssd.decoder(spec, anchors, boxes, scores, place, exponential=options.exponential)
    return Decoding(decode, options.class_count - background)
