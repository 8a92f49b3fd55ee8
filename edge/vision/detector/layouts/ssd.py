"""Raw SSD boxes and scores, with attached `detector.json` and `anchors.npy`.

Only rows above the threshold are converted to floats, to save time.

Box code: Ren et al., "Faster R-CNN", 2015, with the scales of the TensorFlow Object Detection API.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import ModelError
from edge.vision.detector.graph import Tensor
from edge.vision.detector.layouts.base import MAX_CANDIDATES, Clues, Decode, Decoding, Raw
from edge.vision.detector.model_file import Anchors, DetectorSpec
from edge.vision.geometry import Boxes
from edge.vision.types import Detections

BOX = 4
Quantization = tuple[float, int]
NOT_QUANTIZED: Quantization = (0.0, 0)
MAX_LOG_SIZE = 10.0  # keeps exp finite for damaged values
LOGIT_EPSILON = 1e-6  # keeps log(p / (1 - p)) finite, and absorbs rounding at a whole step


def decode_boxes(
    codes: npt.NDArray[np.float32],
    anchors: Anchors,
    scales: tuple[float, float, float, float],
    *,
    exponential: bool = True,
) -> Boxes:
    """Codes ty tx th tw (n, 4) relative to anchors cy cx h w (n, 4) -> x0 y0 x1 y1, same unit.

    exponential: whether th and tw are logarithms of the size, as in the paper.
    """
    ty, tx, th, tw = (codes / np.array(scales, np.float32)).T
    cy, cx, h, w = anchors.T
    y, x = ty * h + cy, tx * w + cx
    if exponential:
        th, tw = np.exp(np.minimum(th, MAX_LOG_SIZE)), np.exp(np.minimum(tw, MAX_LOG_SIZE))
    half_h, half_w = th * h / 2, tw * w / 2
    corners = np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=1)
    return np.asarray(corners, np.float32)


def encode_boxes(
    boxes_xyxy: Boxes, anchors: Anchors, scales: tuple[float, float, float, float]
) -> npt.NDArray[np.float32]:
    """The inverse of `decode_boxes`."""
    x0, y0, x1, y1 = boxes_xyxy.T
    cy, cx, h, w = anchors.T
    ty, tx = ((y0 + y1) / 2 - cy) / h, ((x0 + x1) / 2 - cx) / w
    th, tw = np.log((y1 - y0) / h), np.log((x1 - x0) / w)
    codes = np.stack([ty, tx, th, tw], axis=1) * np.array(scales, np.float32)
    return np.asarray(codes, np.float32)


def match(clues: Clues) -> Decoding | None:
    if clues.spec is None or clues.anchors is None or len(clues.outputs) != 2:
        return None
    spec, anchors = clues.spec, clues.anchors
    widths = [one.shape[-1] for one in clues.outputs]
    first = spec.first_class_column
    options = [
        place for place in (0, 1)
        if widths[place] == BOX and (not clues.counts or widths[1 - place] - first in clues.counts)
    ]  # fmt: skip
    if not options:
        wanted = " or ".join(str(first + count) for count in sorted(clues.counts))
        raise ModelError(f"its outputs are {sorted(widths)} wide, not {wanted} and {BOX}")
    place = options[0] if len(options) == 1 else place_of_boxes(clues)
    boxes, scores = clues.outputs[place], clues.outputs[1 - place]
    for tensor in (boxes, scores):
        rows = math.prod(tensor.shape[1:-1])
        if rows != len(anchors):
            raise ModelError(f"it has {rows} boxes, but {len(anchors)} anchors are attached")
    decode = decoder(spec, anchors, boxes, scores, place)
    return Decoding(decode, scores.shape[-1] - first, "-1..1")


def place_of_boxes(clues: Clues) -> int:
    """Where both outputs have the same width: by their names, or by the activation of scores."""
    names = [*clues.output_names, *(one.name for one in clues.outputs)]
    for place, name in enumerate(names):
        if any(word in name.lower() for word in ("location", "box")):
            return place % 2
    active = [clues.graph.activated(one) for one in clues.outputs]
    if active.count(True) == 1:
        return 1 - active.index(True)
    raise ModelError("its two outputs have the same shape, and no name tells which holds the boxes")


def decoder(
    spec: DetectorSpec,
    anchors: Anchors,
    boxes: Tensor,
    scores: Tensor,
    boxes_place: int,
    *,
    exponential: bool = True,
) -> Decode:
    """Outputs boxes (n, 4 or more) and scores (n, columns), in either order -> detections."""
    decode = SsdDecoder(
        spec,
        anchors,
        (boxes.scale, boxes.zero_point),
        (scores.scale, scores.zero_point),
        exponential=exponential,
    )

    def read(outputs: Sequence[Raw], min_score: float) -> Detections:
        codes = outputs[boxes_place].reshape(len(anchors), -1)[:, :BOX]
        columns = outputs[1 - boxes_place].reshape(len(anchors), -1)
        return decode(codes, columns, min_score, MAX_CANDIDATES)

    return read


class SsdDecoder:
    """Raw outputs of one model -> detections in 0..1 of its input, before NMS."""

    def __init__(
        self,
        spec: DetectorSpec,
        anchors: Anchors,
        boxes_quantization: Quantization = NOT_QUANTIZED,
        scores_quantization: Quantization = NOT_QUANTIZED,
        *,
        exponential: bool = True,
    ) -> None:
        self._spec = spec
        self._exponential = exponential
        self._anchors = anchors
        self._boxes_quantization = boxes_quantization
        self._scores_quantization = scores_quantization

    def __call__(
        self,
        codes: npt.NDArray[Any],
        scores: npt.NDArray[Any],
        min_score: float,
        limit: int,
    ) -> Detections:
        """codes: (n, 4), scores: (n, columns), as the model gives them.

        Returns at most the `limit` best, so that a noisy picture cannot make NMS expensive.
        """
        classes = scores[:, self._spec.first_class_column :]
        rows, class_ids = np.nonzero(classes >= self._raw_threshold(min_score))
        kept = self._activated(classes[rows, class_ids])
        if len(kept) > limit:
            best = np.argpartition(-kept, limit)[:limit]
            rows, class_ids, kept = rows[best], class_ids[best], kept[best]
        offsets = _dequantized(codes[rows], self._boxes_quantization)
        boxes = decode_boxes(
            offsets, self._anchors[rows], self._spec.box_scales, exponential=self._exponential
        )
        return Detections(boxes, kept, class_ids.astype(np.int64))

    def _raw_threshold(self, min_score: float) -> float:
        """The lowest raw value whose score reaches `min_score`."""
        share = min(max(min_score, LOGIT_EPSILON), 1 - LOGIT_EPSILON)
        logit = math.log(share / (1 - share)) if self._spec.score == "sigmoid" else min_score
        scale, zero_point = self._scores_quantization
        return math.ceil(logit / scale - LOGIT_EPSILON) + zero_point if scale else logit

    def _activated(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        values = _dequantized(raw, self._scores_quantization)
        if self._spec.score == "sigmoid":
            values = 1 / (1 + np.exp(-values))
        return values.astype(np.float32)


def _dequantized(raw: npt.NDArray[Any], quantization: Quantization) -> npt.NDArray[np.float32]:
    scale, zero_point = quantization
    values = raw.astype(np.float32)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values
