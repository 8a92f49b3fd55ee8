"""Facts that exporters attach to a model: TFLite Metadata, Ultralytics and MediaPipe.

Field numbers: metadata_schema.fbs of tflite-support and object_detector_metadata_schema.fbs of
MediaPipe. Ultralytics attaches a dictionary, as JSON or as Python's own text of it.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.vision.detector.flatbuffer import Table

TFLITE_METADATA = "TFLITE_METADATA"
MEDIAPIPE_DETECTOR = "DETECTOR_METADATA"
ULTRALYTICS_FILES = ("metadata.json", "temp_meta.txt")
NORMALIZATION = 1  # ProcessUnitOptions
LABEL_FILES = (2, 3)  # AssociatedFileType: TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS


@dataclass(frozen=True, slots=True)
class Normalization:
    """real = (level - mean) / std, for each channel or for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MediaPipeDecoding:
    """TensorsDecodingOptions. anchors: (n, 4) cy cx h w. scales: divisors of y x h w."""

    anchors: npt.NDArray[np.float32]
    class_count: int
    coordinates: int
    scales: tuple[float, float, float, float]
    exponential: bool
    sigmoid: bool


@dataclass(frozen=True, slots=True)
class Metadata:
    """label_files: names in the attached archive, the preferred first. ultralytics: as attached."""

    normalization: Normalization | None = None
    label_files: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    mediapipe: MediaPipeDecoding | None = None
    ultralytics: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(buffers: Mapping[str, bytes], members: Mapping[str, bytes]) -> Metadata:
    """buffers: of the flatbuffer. members: attached files. Raises anything if damaged."""
    ultralytics = _ultralytics(members)
    if TFLITE_METADATA not in buffers:
        return Metadata(ultralytics=ultralytics)
    graphs = Table.root(buffers[TFLITE_METADATA]).tables(3)
    if not graphs:
        return Metadata(ultralytics=ultralytics)
    inputs, outputs = graphs[0].tables(2), graphs[0].tables(3)
    return Metadata(
        normalization=_normalization(inputs[0]) if inputs else None,
        label_files=(
            *(name for one in outputs for name in _label_files(one.tables(6))),
            *_label_files(graphs[0].tables(4)),
        ),
        output_names=tuple(one.text(0) for one in outputs),
        mediapipe=next(
            (
                _mediapipe(custom.array(1, "uint8").tobytes())
                for custom in graphs[0].tables(9)
                if custom.text(0) == MEDIAPIPE_DETECTOR
            ),
            None,
        ),
        ultralytics=ultralytics,
    )


def ultralytics_names(metadata: Metadata) -> tuple[str, ...]:
    """The names of the classes by their number; a gap is empty."""
    names = metadata.ultralytics.get("names", ())
    if isinstance(names, Mapping):
        numbered = {int(number): str(name) for number, name in names.items()}
        if not numbered or min(numbered) < 0 or max(numbered) > 100_000:
            return ()
        return tuple(numbered.get(number, "") for number in range(max(numbered) + 1))
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else ()


def _normalization(tensor: Table) -> Normalization | None:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.number(0, "uint8") == NORMALIZATION and options is not None:
            mean, std = options.array(0, "float32"), options.array(1, "float32")
            if not len(mean) or not len(std):
                continue
            if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
                raise ValueError("NormalizationOptions that are not finite")
            return Normalization(tuple(mean.tolist()), tuple(std.tolist()))
    return None


def _label_files(files: list[Table]) -> list[str]:
    """Names of files with labels, those without a language first."""
    found = [one for one in files if one.number(2, "int8") in LABEL_FILES]
    return [one.text(0) for one in sorted(found, key=lambda one: bool(one.text(3)))]


def _mediapipe(data: bytes) -> MediaPipeDecoding | None:
    options = Table.root(data)
    anchors, decoding = options.table(1), options.table(2)
    fixed = anchors.table(0) if anchors is not None else None
    if fixed is None or decoding is None:
        return None
    rows = [
        [one.number(slot, "float32") for slot in (1, 0, 3, 2)]  # stored as x y w h
        for one in fixed.tables(0)
    ]
    return MediaPipeDecoding(
        anchors=np.array(rows, np.float32).reshape(-1, 4),
        class_count=decoding.number(0, "int32"),
        coordinates=decoding.number(2, "int32"),
        scales=(
            decoding.number(7, "float32"), decoding.number(6, "float32"),
            decoding.number(9, "float32"), decoding.number(8, "float32"),
        ),
        exponential=bool(decoding.number(10, "bool")),
        sigmoid=bool(decoding.number(11, "bool")),
    )  # fmt: skip


def _ultralytics(members: Mapping[str, bytes]) -> Mapping[str, Any]:
    for name in ULTRALYTICS_FILES:
        if name in members:
            text = members[name].decode()
            value = json.loads(text) if text.lstrip()[:2] in ('{"', "{\n") else _literal(text)
            return value if isinstance(value, Mapping) else {}
    return {}


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return json.loads(text)
