"""Trained weights as the start of another training.

They are those of the shipped model of COCO's classes, whose int8 kernels are read as they are, or
those of another run. Classes that both know keep their heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import PermanentError
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.model_file import LABELS, read_file
from mobiledet.backbone_v3 import LARGE, NAME
from mobiledet.blocks import HARD_SWISH_ADDEND
from mobiledet.design import Design
from mobiledet.network import trained_network
from mobiledet.run import COCO, COCO_MODEL, Arrays, Run, load
from mobiledet.tflite_weights import convolutions

COCO_SIZE_PX = 320
MAPS = 6  # feature maps of the shipped model


@dataclass(frozen=True, slots=True)
class Start:
    """Weights by the layer's name. columns: that of each label in the scores.

    width: columns of the scores in all.
    """

    weights: dict[str, Arrays]
    columns: dict[str, int]
    width: int


def design_from(start: str, labels: tuple[str, ...], size_px: int) -> Design:
    """The design of a network that can begin with these weights. size_px: 0 for the start's own.

    Raises RunError if the run can't be read.
    """
    if start == COCO:
        return Design(
            labels=labels,
            backbone="mobilenet_v3_large",
            alpha=1.0,
            size_px=size_px or COCO_SIZE_PX,
            normalization="none",
            anchors="tensorflow",
        )
    design = load(Path(start)).design
    return msgspec.structs.replace(design, labels=labels, size_px=size_px or design.size_px)


def set_start(model: Any, run: Run) -> None:
    """Gives a new network the weights that its run starts from.

    Raises RunError or ModelError if they can't be read, PermanentError if they don't fit.
    """
    start = coco_start() if run.training.start == COCO else _of_run(Path(run.training.start))
    of_classes = heads_of_classes(model)
    for layer in model.layers:
        if not layer.weights:
            continue
        weights = start.weights.get(layer.name)
        if weights is not None and layer.name in of_classes:
            weights = _with_columns(layer.get_weights(), weights, start, run.design)
        if weights is None or [w.shape for w in weights] != [tuple(w.shape) for w in layer.weights]:
            raise PermanentError(
                f"--from {run.training.start}: its weights don't fit layer {layer.name}"
            )
        layer.set_weights(weights)


def heads_of_classes(model: Any) -> set[str]:
    """Names of the layers that give the scores."""
    return {
        layer.name
        for layer in model.layers
        if layer.weights and layer.name.startswith("logits") and "." not in layer.name
    }


def is_head(name: str) -> bool:
    """Whether a layer of this name belongs to the predictors of boxes or classes."""
    return name.startswith(("codes", "logits", "objectness"))


def _with_columns(new: Arrays, old: Arrays, start: Start, design: Design) -> Arrays:
    """Random heads, of which the classes that the start knows get the start's columns."""
    merged = []
    for fresh, known in zip(new, old, strict=True):
        to = fresh.reshape(*fresh.shape[:-1], -1, design.columns).copy()
        of = known.reshape(*known.shape[:-1], -1, start.width)
        for number, label in enumerate(design.labels):
            if label in start.columns:
                to[..., design.first_class_column + number] = of[..., start.columns[label]]
        merged.append(to.reshape(fresh.shape))
    return merged


def _of_run(folder: Path) -> Start:
    design = load(folder).design
    model = trained_network(folder, design)
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    columns = {label: design.first_class_column + i for i, label in enumerate(design.labels)}
    return Start(weights, columns, design.columns)


def coco_start() -> Start:
    """The shipped model's weights, without the column of the background."""
    path = find_model(COCO_MODEL)
    file = read_file(path)
    found = convolutions(file.flatbuffer)
    names = list(_names())
    if len(found) != len(names):
        raise PermanentError(f"{path}: {len(found)} convolutions instead of {len(names)}")
    weights: dict[str, Arrays] = {}
    for name, layer in zip(names, found, strict=True):
        # The product before a kernel lacks its sixth, which the converter moved into the kernel.
        kernel = layer.kernel * np.float32(6 if layer.after_product else 1)
        # The file adds hard-swish's constant to the biases of squeeze-excite.
        shift = HARD_SWISH_ADDEND if name.endswith(".excite.wide") else 0.0
        weights[name] = [kernel, layer.bias - np.float32(shift)]
    labels = file.members[LABELS].decode().splitlines()
    columns = {label: 1 + i for i, label in enumerate(labels)}
    return Start(weights, columns, 1 + len(columns))


def _names() -> list[str]:
    """Our names of the shipped model's convolutions, in the file's order."""
    names = ["conv0"]
    to_stride_32 = max(number for number, row in enumerate(LARGE) if row.stride == 2)
    for number, row in enumerate(LARGE):
        block = NAME.format(number + 1)
        names += [f"{block}.expand"] if number else []
        names += _predictor(0) if number == to_stride_32 else []
        names.append(f"{block}.depthwise")
        names += [f"{block}.excite.narrow", f"{block}.excite.wide"] if row.excite else []
        names.append(f"{block}.project")
    names += ["last", *_predictor(1)]
    for number in range(MAPS - 2):
        extra = f"extra{number}"
        names += [f"{extra}.narrow", f"{extra}.depthwise", f"{extra}.pointwise"]
        names += _predictor(number + 2)
    return names


def _predictor(number: int) -> list[str]:
    return [f"{kind}{number}{end}" for kind in ("codes", "logits") for end in (".depthwise", "")]
