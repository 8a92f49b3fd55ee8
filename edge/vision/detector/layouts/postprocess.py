"""Models that end with the operator TFLite_Detection_PostProcess, which includes NMS.

TF1 and TF2 Object Detection API, EfficientDet-Lite, Model Maker, Edge Impulse SSD. The operator's
outputs are boxes (ymin xmin ymax xmax), classes, scores and their number; the graph lists them in
any order and under any name (tensorflow/lite/kernels/detection_postprocess.cc).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from flatbuffers import flexbuffers

from edge.errors import ModelError
from edge.vision.detector.foreign import POSTPROCESS
from edge.vision.detector.graph import Graph, Operator
from edge.vision.detector.layouts.base import Clues, Decoding, Raw, real
from edge.vision.types import Detections

REQUIRED = {
    "max_detections", "max_classes_per_detection", "num_classes", "nms_score_threshold",
    "nms_iou_threshold", "y_scale", "x_scale", "h_scale", "w_scale",
}  # fmt: skip
LIMITS = {
    "max_detections": (1, 10_000), "max_classes_per_detection": (1, 1000),
    "num_classes": (1, 10_000),
    "detections_per_class": (1, 10_000),
    "nms_score_threshold": (-1e9, 1), "nms_iou_threshold": (0, 1),
    "y_scale": (1e-3, 1e6), "x_scale": (1e-3, 1e6), "h_scale": (1e-3, 1e6), "w_scale": (1e-3, 1e6),
}  # fmt: skip
MOBILENET = ("mobilenet", "mobile_net", "mobiledet", "normalized_input_image_tensor")


def match(clues: Clues) -> Decoding | None:
    operator = clues.graph.custom(POSTPROCESS)
    if operator is None or len(operator.outputs) < 4:
        return None
    order = _order(clues, operator)
    tensors = [clues.outputs[place] for place in order]

    def decode(outputs: Sequence[Raw], min_score: float) -> Detections:
        corners, classes, scores, number = (
            real(outputs[place], tensor) for place, tensor in zip(order, tensors, strict=True)
        )
        valid = max(0, int(number.reshape(-1)[0]))
        scores, classes = scores.reshape(-1)[:valid], classes.reshape(-1)[:valid]
        corners = corners.reshape(-1, 4)
        rows = np.flatnonzero((scores >= min_score) & (classes >= 0))
        boxes = corners[rows][:, [1, 0, 3, 2]]
        return Detections(boxes, scores[rows], np.round(classes[rows]).astype(np.int64))

    return Decoding(decode, _class_count(operator), _convention(clues.graph))


def _order(clues: Clues, operator: Operator) -> list[int]:
    """Places of boxes, classes, scores and number among the graph's outputs.

    Copies of the operator's outputs (type conversions, reshapes) are followed back to it.
    """
    made_by = {index: one for one in clues.graph.operators for index in one.outputs}
    order = {}
    for place, tensor in enumerate(clues.outputs):
        index = tensor.index
        for _ in range(10):
            if index in operator.outputs or index not in made_by or not made_by[index].inputs:
                break
            index = made_by[index].inputs[0]
        if index in operator.outputs:
            order[operator.outputs.index(index)] = place
    if not {0, 1, 2, 3} <= set(order):
        raise ModelError("not all four outputs of TFLite_Detection_PostProcess leave the graph")
    return [order[role] for role in range(4)]


def check_operator(graph: Graph) -> None:
    """Refuses options and anchors that the runtime's operator would read without a check.

    Damaged ones end the whole process, or give boxes of whatever lies behind the anchors.
    Raises ModelError with the end of a sentence.
    """
    operator = graph.custom(POSTPROCESS)
    if operator is None:
        return
    options = _options(operator)
    for name, (lowest, highest) in LIMITS.items():
        if not lowest <= options.get(name, lowest) <= highest:
            raise ModelError(f"{POSTPROCESS} has {name} {options[name]}, not {lowest} to {highest}")
    _check_anchors(graph, operator)
    if missing := REQUIRED - set(options):
        raise ModelError(f"{POSTPROCESS} lacks its options {', '.join(sorted(missing))}")


def _check_anchors(graph: Graph, operator: Operator) -> None:
    boxes, _, anchors = (graph.tensors[index] for index in operator.inputs[:3])
    wanted = math.prod(boxes.shape[1:-1])
    if len(anchors.shape) != 2 or anchors.shape[1] != 4 or anchors.shape[0] < max(1, wanted):
        shown = "x".join(map(str, anchors.shape))
        raise ModelError(f"it has {wanted} boxes, but anchors of the shape {shown}")
    values = graph.constant(anchors)
    if not np.isfinite(values).all() or (values.reshape(-1, 4)[:, 2:] <= 0).any():
        raise ModelError("its anchors are not finite, or have sizes that are not above 0")


def _options(operator: Operator) -> dict[str, float]:
    """The operator's numeric options by name; none if they are damaged."""
    try:
        values = flexbuffers.GetRoot(operator.options).AsMap.Value
    except Exception:  # whatever a damaged buffer makes the reader raise
        return {}
    return {str(name): value for name, value in values.items() if isinstance(value, int | float)}


def _class_count(operator: Operator) -> int:
    """The option num_classes, which doesn't count the background."""
    return int(_options(operator)["num_classes"])


def _convention(graph: Graph) -> str | None:
    """MobileNets of the Object Detection API take -1..1; other float inputs tell nothing."""
    names = [tensor.name.lower() for tensor in graph.tensors]
    return "-1..1" if any(word in name for name in names for word in MOBILENET) else None
