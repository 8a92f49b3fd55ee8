"""The layouts of detectors' outputs: one file and one row of `LAYOUTS` each.

A row's `match` looks at the clues of a model and returns its decoding, or None. The first that
matches is used; `model.layout` names one where a file fits several or none.
"""

from __future__ import annotations

from dataclasses import replace

from edge.errors import ConfigError, ModelError
from edge.vision.detector.layouts import (
    end_to_end,
    fomo,
    mediapipe,
    nanodet,
    postprocess,
    ssd,
    yolo5,
    yolo8,
    yolo_grid,
    yolox,
)
from edge.vision.detector.layouts.base import Clues, Decoding, Layout

LAYOUTS = (
    Layout("postprocess", "boxes from TFLite_Detection_PostProcess", postprocess.match),
    Layout("ssd", "raw boxes and scores with attached anchors", ssd.match),
    Layout("mediapipe", "raw boxes and scores with anchors in MediaPipe metadata", mediapipe.match),
    Layout("end-to-end", "YOLOv10 and others that need no NMS: [1, n, 6]", end_to_end.match),
    Layout("yolo8", "YOLOv8, YOLO11: [1, 4 + classes, n]", yolo8.match),
    Layout("yolo5", "YOLOv5, YOLOv7, MegaDetector v5: [1, n, 5 + classes]", yolo5.match),
    Layout("yolox", "YOLOX: [1, cells, 5 + classes]", yolox.match),
    Layout("nanodet", "NanoDet: [1, cells, classes + 4 distributions]", nanodet.match),
    Layout("fomo", "Edge Impulse FOMO: cells with class scores", fomo.match),
    Layout("yolo2", "YOLOv2, Tiny-YOLOv2: a grid with anchors", yolo_grid.match),
)


def recognize(clues: Clues, chosen: str) -> tuple[Layout, Decoding]:
    """chosen: a layout's name or `auto`. Raises ModelError with the end of a sentence."""
    if chosen != "auto":
        clues = replace(clues, named=True)
    rows = [one for one in LAYOUTS if chosen in ("auto", one.name)]
    if not rows:
        names = ", ".join(one.name for one in LAYOUTS)
        raise ConfigError(f"model.layout: there is no layout {chosen!r}; the layouts are {names}")
    for layout in rows:
        if (decoding := layout.match(clues)) is not None:
            return layout, decoding
    shapes = ", ".join("x".join(map(str, one.shape)) for one in clues.outputs)
    if chosen != "auto":
        raise ModelError(f"its outputs ({shapes}) don't fit model.layout = {chosen!r}")
    if _are_raw_boxes(clues):
        raise ModelError(
            f"its outputs ({shapes}) are raw boxes and scores, but it holds no anchors: export it "
            "with TFLite_Detection_PostProcess, or attach anchors (docs/models.md)"
        )
    labels = f" with {max(clues.counts)} labels" if clues.counts else ""
    raise ModelError(
        f"its outputs ({shapes}){labels} fit no known layout of a detector; the layouts are "
        f"described in docs/models.md, and model.layout names one"
    )


def _are_raw_boxes(clues: Clues) -> bool:
    """Two lists of the same length, one of them with at least four numbers a row."""
    shapes = clues.shapes
    if len(shapes) != 2 or any(len(shape) != 2 for shape in shapes):
        return False
    (rows, columns), (other_rows, other_columns) = shapes
    return rows == other_rows and max(columns, other_columns) >= 4
