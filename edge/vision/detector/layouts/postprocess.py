"""Models that end with the operator TFLite_Detection_PostProcess, which includes NMS.

TF1 and TF2 Object Detection API, EfficientDet-Lite, Model Maker, Edge Impulse SSD. The operator's
outputs are boxes (ymin xmin ymax xmax), classes, scores and their number; the graph lists them in
any order and under any name (tensorflow/lite/kernels/detection_postprocess.cc).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flatbuffers import flexbuffers

from edge.errors import ModelError
from edge.vision.detector.foreign import POSTPROCESS
from edge.vision.detector.graph import Graph, Operator
from edge.vision.detector.layouts.base import Clues, Decoding, Raw, real
from edge.vision.types import Detections

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


def _class_count(operator: Operator) -> int | None:
    """The operator's option num_classes, which doesn't count the background."""
    if not operator.options:
        return None
    options = flexbuffers.GetRoot(operator.options).AsMap
    return int(options["num_classes"].AsInt)


def _convention(graph: Graph) -> str | None:
    """MobileNets of the Object Detection API take -1..1; other float inputs tell nothing."""
    names = [tensor.name.lower() for tensor in graph.tensors]
    return "-1..1" if any(word in name for name in names for word in MOBILENET) else None
