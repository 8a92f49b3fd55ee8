"""Builds small TFLite files: graphs with exact signatures, whose outputs are constants.

A test chooses the outputs, and the runtime hands them to the decoder as it would a real model's.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

KINDS = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "int8": 9}
CUSTOM = 32


class GraphBuilder:
    """One subgraph. Tensors are named by their index."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.metadata = [], []
        self.model.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], "main"
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: Sequence[int],
        kind: str = "float32",
        data: np.ndarray | None = None,
        *,
        name: str = "",
        scale: float = 0.0,
        zero: int = 0,
        signature: Sequence[int] | None = None,
    ) -> int:
        """data: of a constant. signature: the shape with -1 for free sides."""
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.hasRank = list(shape), KINDS[kind], True
        tensor.name = name or f"tensor{len(self.graph.tensors)}"
        tensor.shapeSignature = list(signature) if signature else None
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        if data is not None:
            tensor.buffer = self.buffer(np.ascontiguousarray(data, kind).tobytes())
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def operator(
        self,
        code: int | str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Mapping[str, float | int | bool] | None = None,
    ) -> None:
        """code: a number, or the name of a custom operator with its options."""
        kind = schema.OperatorCodeT()
        kind.version = 1
        kind.builtinCode = CUSTOM if isinstance(code, str) else code
        kind.deprecatedBuiltinCode = min(kind.builtinCode, 127)
        kind.customCode = code if isinstance(code, str) else None
        self.model.operatorCodes.append(kind)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            operator.customOptions = np.frombuffer(flexbuffers.Dumps(dict(options)), np.uint8)
        self.graph.operators.append(operator)

    def metadata(self, name: str, content: bytes) -> None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self.buffer(content)
        self.model.metadata.append(entry)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def constant_model(
    outputs: Sequence[np.ndarray],
    size: tuple[int, int] = (320, 320),
    *,
    kind: str = "float32",
    scale: float = 0.0,
    zero: int = 0,
    shape: Sequence[int] | None = None,
    signature: Sequence[int] | None = None,
    output_scales: Sequence[tuple[float, int]] = (),
    metadata: Mapping[str, bytes] | None = None,
    input_name: str = "",
    output_names: Sequence[str] = (),
) -> bytes:
    """A model whose outputs are the given arrays (with their batch), whatever the picture.

    shape, signature: of the input; the default is one RGB picture of `size`.
    output_scales: quantize each output in this way, to int8.
    """
    graph = GraphBuilder()
    given = graph.tensor(
        shape or (1, size[1], size[0], 3), kind, scale=scale, zero=zero, signature=signature,
        name=input_name,
    )  # fmt: skip
    indices = []
    for number, values in enumerate(outputs):
        if output_scales:
            step, offset = output_scales[number]
            raw = np.clip(np.round(values / step) + offset, -128, 127)
            indices.append(graph.tensor(values.shape, "int8", raw, scale=step, zero=offset))
        else:
            name = output_names[number] if output_names else ""
            indices.append(graph.tensor(values.shape, "float32", values, name=name))
    for name, content in (metadata or {}).items():
        graph.metadata(name, content)
    return graph.build([given], indices)


def postprocess_model(
    boxes: np.ndarray,
    scores: np.ndarray,
    anchors: np.ndarray,
    *,
    order: Sequence[int] = (0, 1, 2, 3),
    size: tuple[int, int] = (320, 320),
    input_name: str = "normalized_input_image_tensor",
    classes: int | None = None,
    quantized: tuple[str, float, int] | None = None,
) -> bytes:
    """A graph that ends with the real TFLite_Detection_PostProcess.

    boxes: codes (n, 4). scores: (n, columns). anchors: (n, 4) cy cx h w. order: the places of
    boxes, classes, scores and number in the graph's list of outputs. quantized: type, scale and
    zero point of the input.
    """
    graph = GraphBuilder()
    kind, scale, zero = quantized or ("float32", 0.0, 0)
    given = graph.tensor((1, size[1], size[0], 3), kind, name=input_name, scale=scale, zero=zero)
    inputs = [
        graph.tensor((1, *boxes.shape), data=boxes, name="a"),
        graph.tensor((1, *scores.shape), data=scores, name="b"),
        graph.tensor(anchors.shape, data=anchors, name="c"),
    ]
    shapes = ((1, 10, 4), (1, 10), (1, 10), (1,))
    made = [graph.tensor(shape, name=f"StatefulPartitionedCall:{order[place]}")
            for place, shape in enumerate(shapes)]  # fmt: skip
    options = {
        "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 10,
        "use_regular_nms": False, "nms_score_threshold": 0.01, "nms_iou_threshold": 0.6,
        "num_classes": classes if classes is not None else scores.shape[1] - 1,
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
    }  # fmt: skip
    graph.operator("TFLite_Detection_PostProcess", inputs, made, options)
    listed = sorted(range(4), key=lambda role: order[role])
    return graph.build([given], [made[role] for role in listed])


def with_members(model: bytes, **members: str | bytes) -> bytes:
    """The model with attached files; `labels_txt` stands for labels.txt."""
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            stem, _, suffix = name.rpartition("_")
            archive.writestr(f"{stem}.{suffix}", content)
    return buffer.getvalue()


def saved(path: Path, model: bytes, labels: Sequence[str] = ()) -> Path:
    """Writes the model, and its labels beside it."""
    path.write_bytes(model)
    if labels:
        path.with_suffix(".txt").write_text("".join(f"{label}\n" for label in labels))
    return path
