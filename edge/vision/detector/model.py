"""Opens a model: from a file to an interpreter, its input, its layout and its labels.

All that can be read from the file is; the settings of the section `model` decide the rest, and a
file that leaves a question open is refused with that question.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge.config.schema import ModelSettings
from edge.errors import ModelError
from edge.vision.detector.foreign import obstacle
from edge.vision.detector.graph import Graph, Tensor, read_graph
from edge.vision.detector.groups import groups_of
from edge.vision.detector.input import (
    RANGES,
    Geometry,
    InputPlan,
    Range,
    contradiction,
    geometry_of,
    input_table,
    range_of,
)
from edge.vision.detector.labels import MAX_CLASSES, LabelList, find_labels, fitted
from edge.vision.detector.layouts import recognize
from edge.vision.detector.layouts.base import Clues, Decoding, Layout
from edge.vision.detector.layouts.postprocess import check_operator
from edge.vision.detector.metadata import Metadata, read_metadata
from edge.vision.detector.model_file import (
    GROUPS,
    Anchors,
    DetectorSpec,
    ModelFile,
    read_file,
    readable,
    sentence,
)
from edge.vision.detector.runtime import Interpreter, open_interpreter

LABELS_WANTED = (
    "write their names, one per line in the order of the training, to a text file with the model's "
    "name beside it (NAME.txt), or set model.labels_file"
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be run.

    labels, groups: by class id; a label without a group has an empty one. warnings: sentences about
    what doesn't fit together and may be wrong. spec, anchors: attached data of raw SSD models.
    """

    path: Path
    flatbuffer: bytes
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    layout: Layout
    decoding: Decoding
    input: InputPlan
    warnings: tuple[str, ...]
    spec: DetectorSpec | None
    anchors: Anchors | None


def read_model(path: Path, settings: ModelSettings | None = None) -> Model:
    """Reads and checks a model. Raises ModelError with one sentence that names the file."""
    return open_model(path, settings or ModelSettings(), delegates=False)[0]


def open_model(
    path: Path, settings: ModelSettings, *, delegates: bool = True
) -> tuple[Model, Interpreter]:
    """A model and its interpreter, with tensors for one picture.

    delegates: as for `open_interpreter`; without them, the runtime opens a model faster.
    Raises ModelError with one sentence that names the file, PermanentError without a runtime.
    """
    file = read_file(path)
    with readable(path, "the file"):
        try:
            return _opened(file, settings, delegates)
        except ModelError as error:
            raise ModelError(sentence(path, str(error))) from error


def _opened(file: ModelFile, settings: ModelSettings, delegates: bool) -> tuple[Model, Interpreter]:
    graph = read_graph(file.flatbuffer)
    if problem := obstacle(graph):
        raise ModelError(problem)
    check_operator(graph)
    metadata = read_metadata(graph.metadata, file.members)
    (tensor,) = graph.inputs
    geometry = geometry_of(tensor, settings.input_px or _exported_px(metadata))
    found = find_labels(file.path, file.members, metadata, settings.labels_file)
    interpreter = open_interpreter(
        file.flatbuffer,
        runtime=settings.runtime,
        threads=settings.threads,
        delegates=delegates,
        input_shape=geometry.shape() if geometry.shape() != tensor.shape else None,
    )
    clues = _clues(file, graph, metadata, geometry, found, interpreter, settings)
    layout, decoding = _recognized(clues, settings, found)
    plan = _input_plan(tensor, geometry, metadata, decoding, settings)
    labels, mismatch = _labels(found, decoding.classes)
    model = Model(
        path=file.path,
        flatbuffer=file.flatbuffer,
        labels=labels,
        groups=groups_of(labels, _attached_groups(file)),
        layout=layout,
        decoding=decoding,
        input=plan,
        warnings=tuple(
            sentence(file.path, text)
            for text in (
                mismatch,
                contradiction(tensor, plan.range, plan.source, metadata.normalization),
            )
            if text
        ),
        spec=file.spec,
        anchors=file.anchors,
    )
    return model, interpreter


def _recognized(
    clues: Clues, settings: ModelSettings, found: LabelList | None
) -> tuple[Layout, Decoding]:
    try:
        layout, decoding = recognize(clues, settings.layout)
    except ModelError as error:
        if found is None:  # their number may be what is missing
            raise ModelError(f"{error}. It has no labels either: {LABELS_WANTED}") from error
        raise
    if decoding.classes is not None and not 0 < decoding.classes <= MAX_CLASSES:
        raise ModelError(f"it has {decoding.classes} classes; 1 to {MAX_CLASSES} are possible")
    return layout, decoding


def _labels(found: LabelList | None, classes: int | None) -> tuple[tuple[str, ...], str | None]:
    if found is None:
        count = f" for its {classes} classes" if classes else ""
        raise ModelError(f"it has no labels{count}: {LABELS_WANTED}")
    return fitted(found, classes)


def _clues(
    file: ModelFile,
    graph: Graph,
    metadata: Metadata,
    geometry: Geometry,
    found: LabelList | None,
    interpreter: Interpreter,
    settings: ModelSettings,
) -> Clues:
    shapes = {
        int(detail["index"]): tuple(int(side) for side in detail["shape"])
        for detail in interpreter.get_output_details()
    }
    return Clues(
        graph=graph,
        outputs=tuple(one.shaped(shapes.get(one.index, one.shape)) for one in graph.outputs),
        size=geometry.size,
        counts=frozenset(found.counts if found else ()),
        background=found is not None and found.background,
        spec=file.spec,
        anchors=file.anchors,
        mediapipe=metadata.mediapipe,
        ultralytics=metadata.ultralytics,
        output_names=metadata.output_names,
        anchor_pairs=settings.anchors,
    )


def _input_plan(
    tensor: Tensor,
    geometry: Geometry,
    metadata: Metadata,
    decoding: Decoding,
    settings: ModelSettings,
) -> InputPlan:
    values, source = range_of(
        tensor,
        chosen=settings.input_range,
        normalization=metadata.normalization,
        convention=decoding.convention,
    )
    bgr = geometry.channels > 1 and (
        decoding.bgr if settings.channels == "auto" else settings.channels == "bgr"
    )
    ordered = values
    if bgr and values in RANGES.values():  # they are stated in the order R G B
        ordered = Range(values.name, values.low[::-1], values.high[::-1])
    if geometry.channels == 1 and len(values.low) > 1:
        mean = (float(np.mean(values.low)),), (float(np.mean(values.high)),)
        ordered = Range(values.name, *mean)
    return InputPlan(
        geometry, values, source, bgr, tensor.kind, input_table(tensor, ordered, geometry.channels)
    )


def _exported_px(metadata: Metadata) -> int:
    """The side for which Ultralytics exported the model; 0 if unknown."""
    size = metadata.ultralytics.get("imgsz", 0)
    return int(size[0] if isinstance(size, list | tuple) and size else size or 0)


def _attached_groups(file: ModelFile) -> dict[str, tuple[str, ...]] | None:
    if GROUPS not in file.members:
        return None
    return msgspec.json.decode(file.members[GROUPS], type=dict[str, tuple[str, ...]])
