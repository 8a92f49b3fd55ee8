"""Builds TFLite Metadata and MediaPipe's detector options, field by field from their schemas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flatbuffers
import numpy as np

Fields = dict[int, tuple[str, object]]  # number -> kind and value


def table(builder: flatbuffers.Builder, fields: Fields) -> int:
    """Writes a table. Kinds: ref (an offset), float32, int32, int8, uint8, bool."""
    builder.StartObject(max(fields, default=0) + 1)
    for number, (kind, value) in fields.items():
        if kind == "ref":
            builder.PrependUOffsetTRelativeSlot(number, value, 0)
        else:
            getattr(builder, f"Prepend{kind.capitalize()}Slot")(number, value, 0)
    return int(builder.EndObject())


def vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _finished(make: Callable[[flatbuffers.Builder], int], identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(256)
    builder.Finish(make(builder), identifier)
    return bytes(builder.Output())


def tflite_metadata(
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    labels: str = "",
    custom: bytes | None = None,
    outputs: Sequence[str] = ("location", "score"),
) -> bytes:
    """ModelMetadata with NormalizationOptions, label files of the first output, custom data."""

    def make(b: flatbuffers.Builder) -> int:
        given: Fields = {0: ("ref", b.CreateString("image"))}
        if mean:
            means = b.CreateNumpyVector(np.array(mean, np.float32))
            stds = b.CreateNumpyVector(np.array(std, np.float32))
            options = table(b, {0: ("ref", means), 1: ("ref", stds)})
            unit = table(b, {0: ("uint8", 1), 1: ("ref", options)})
            given[4] = ("ref", vector(b, [unit]))
        image = table(b, given)
        made = []
        for number, name in enumerate(outputs):
            fields: Fields = {0: ("ref", b.CreateString(name))}
            if labels and number == 0:
                german = table(b, {0: ("ref", b.CreateString("de.txt")), 2: ("int8", 3),
                                   3: ("ref", b.CreateString("de"))})  # fmt: skip
                file = table(b, {0: ("ref", b.CreateString(labels)), 2: ("int8", 3)})
                fields[6] = ("ref", vector(b, [german, file]))
            made.append(table(b, fields))
        graph: Fields = {2: ("ref", vector(b, [image])), 3: ("ref", vector(b, made))}
        if custom is not None:
            data, name = b.CreateByteVector(custom), b.CreateString("DETECTOR_METADATA")
            entry = table(b, {0: ("ref", name), 1: ("ref", data)})
            graph[9] = ("ref", vector(b, [entry]))
        graphs = vector(b, [table(b, graph)])
        return table(b, {3: ("ref", graphs)})

    return _finished(make, b"M001")


def mediapipe_options(
    anchors: np.ndarray, classes: int, scales: tuple[float, float, float, float], *, sigmoid: bool
) -> bytes:
    """ObjectDetectorOptions. anchors: (n, 4) cy cx h w. scales: of y x h w."""

    def make(b: flatbuffers.Builder) -> int:
        rows = [
            table(b, {0: ("float32", float(cx)), 1: ("float32", float(cy)),
                      2: ("float32", float(w)), 3: ("float32", float(h))})
            for cy, cx, h, w in anchors
        ]  # fmt: skip
        fixed = table(b, {0: ("ref", vector(b, rows))})
        schema = table(b, {0: ("ref", fixed)})
        y, x, h, w = scales
        decoding = table(b, {
            0: ("int32", classes), 1: ("int32", len(anchors)), 2: ("int32", 4),
            6: ("float32", x), 7: ("float32", y), 8: ("float32", w), 9: ("float32", h),
            10: ("bool", True), 11: ("bool", sigmoid),
        })  # fmt: skip
        return table(b, {1: ("ref", schema), 2: ("ref", decoding)})

    return _finished(make, b"V001")
