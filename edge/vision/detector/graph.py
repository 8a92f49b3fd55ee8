"""The parts of a TFLite graph that tell how its input is written and its outputs are read.

Field numbers: tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.vision.detector.flatbuffer import Table

TYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
    9: "int8",
}  # fmt: skip
CUSTOM = 32
# Operators that only move values: what is said of their inputs holds for their outputs.
MOVES = {
    2: "CONCATENATION", 6: "DEQUANTIZE", 22: "RESHAPE", 36: "GATHER", 39: "TRANSPOSE",
    43: "SQUEEZE", 45: "STRIDED_SLICE", 65: "SLICE", 70: "EXPAND_DIMS", 83: "PACK",
    114: "QUANTIZE",
}  # fmt: skip
ACTIVATIONS = {14: "LOGISTIC", 25: "SOFTMAX"}
MAX_STEPS = 10_000  # of one walk through the graph: a damaged one may be endless


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. shape: as stored; signature: the same with -1 where the size is free.

    scale: real value of one step, 0 if the tensor isn't quantized. zero_point: the step of 0.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    kind: str
    scale: float
    zero_point: int
    buffer: int

    @property
    def real_range(self) -> tuple[float, float] | None:
        """The lowest and the highest real value that a quantized tensor can hold."""
        if self.scale == 0 or self.kind not in ("int8", "uint8", "int16"):
            return None
        limits = np.iinfo(self.kind)
        return (
            (int(limits.min) - self.zero_point) * self.scale,
            (int(limits.max) - self.zero_point) * self.scale,
        )

    def shaped(self, shape: tuple[int, ...]) -> Tensor:
        return replace(self, shape=shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """code: its number; custom: its name if it isn't built in. options: of a custom one."""

    code: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: bytes


@dataclass(frozen=True, slots=True)
class Graph:
    """The first subgraph of a model.

    metadata: its named buffers. buffers: all, by number.
    """

    tensors: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    metadata: dict[str, bytes]
    buffers: list[Table]

    def custom(self, name: str) -> Operator | None:
        """The only operator of that name."""
        return next((one for one in self.operators if one.custom == name), None)

    def constant(self, tensor: Tensor) -> npt.NDArray[Any]:
        """The stored values of a float32 tensor, empty if it has none or is of another type."""
        if tensor.kind != "float32" or not 0 < tensor.buffer < len(self.buffers):
            return np.zeros(0, np.float32)
        return np.frombuffer(self.buffers[tensor.buffer].array(0, "uint8").tobytes(), "<f4")

    def activated(self, tensor: Tensor) -> bool | None:
        """Whether a logistic or softmax operator made (a part of) a tensor; None: no operator did.

        Operators that only move values are passed.
        """
        made_by = {index: one for one in self.operators for index in one.outputs}
        waiting, seen = [tensor.index], set[int]()
        known: bool | None = None
        while waiting and len(seen) < MAX_STEPS:
            index = waiting.pop()
            operator = made_by.get(index)
            if index in seen or operator is None:
                continue
            seen.add(index)
            if operator.code in ACTIVATIONS:
                return True
            if operator.code in MOVES:
                waiting += operator.inputs
            else:
                known = False
        return known


def read_graph(data: bytes) -> Graph:
    """Reads a flatbuffer. Raises any exception if it is damaged."""
    model = Table.root(data)
    codes = [
        (max(one.number(0, "int8"), one.number(3, "int32")), one.text(1)) for one in model.tables(1)
    ]
    (main, *_) = model.tables(2)
    buffers = model.tables(4)
    tensors = tuple(_tensor(index, table) for index, table in enumerate(main.tables(0)))
    metadata = {}
    for entry in model.tables(6):
        if 0 <= (number := entry.number(1, "uint32")) < len(buffers):
            metadata[entry.text(0)] = buffers[number].array(0, "uint8").tobytes()
    return Graph(
        tensors=tensors,
        inputs=tuple(tensors[index] for index in main.array(1, "int32") if index >= 0),
        outputs=tuple(tensors[index] for index in main.array(2, "int32") if index >= 0),
        operators=tuple(_operator(codes, table) for table in main.tables(3)),
        metadata=metadata,
        buffers=buffers,
    )


def _tensor(index: int, table: Table) -> Tensor:
    shape = tuple(int(side) for side in table.array(0, "int32"))
    signature = tuple(int(side) for side in table.array(7, "int32"))
    scale, zero_point = 0.0, 0
    if (quantization := table.table(4)) is not None:
        scales: npt.NDArray[Any] = quantization.array(2, "float32")
        points = quantization.array(3, "int64")
        if len(scales) == 1:  # several: one for each channel, which only weights have
            scale, zero_point = float(scales[0]), int(points[0]) if len(points) else 0
            if not 0 <= scale < float("inf"):
                raise ValueError(f"a scale of {scale}")
    return Tensor(
        index,
        table.text(3),
        shape,
        signature if len(signature) == len(shape) else shape,
        TYPES.get(table.number(1, "int8"), "another type"),
        scale,
        zero_point,
        table.number(2, "uint32"),
    )


def _operator(codes: list[tuple[int, str]], table: Table) -> Operator:
    code, custom = codes[table.number(0, "uint32")]
    return Operator(
        code,
        custom if code == CUSTOM else "",
        tuple(int(index) for index in table.array(1, "int32")),
        tuple(int(index) for index in table.array(2, "int32")),
        table.array(5, "uint8").tobytes() if code == CUSTOM else b"",
    )
