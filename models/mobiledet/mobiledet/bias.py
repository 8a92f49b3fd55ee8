"""Empirical bias correction of a model that was quantized to int8.

Rounding shifts the mean of each channel, and the shifts add up from layer to layer. The mean error
of each channel against the float model, over some crops, is added to the channel's int32 bias, one
layer after another, each with the corrections of the layers before it in effect. Values that the
int8 tensor can't hold don't count. Source: Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.quantize import Canvas, normalized

Array = np.ndarray[Any, np.dtype[np.float32]]
Range = tuple[float, float]

WITH_BIAS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
LEVELS = np.iinfo(np.int8)
MIN_VALUES = 20  # of a channel; the mean of fewer is chance


class _Expected:
    """Outputs of a layer of the float model: by channel the sum and number of those that count.

    Which of them count is kept in a bit each, so that all layers fit in memory.
    """

    def __init__(self) -> None:
        self.total: npt.NDArray[np.float64] = np.zeros(1)
        self.count: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._free: list[npt.NDArray[np.uint8]] = []

    def add(self, values: Array, free: npt.NDArray[np.bool_]) -> None:
        """values, free: (1, h, w, channels) of the next crop."""
        self.total = self.total + (values * free).sum((0, 1, 2), np.float64)
        self.count = self.count + free.sum((0, 1, 2))
        self._free.append(np.packbits(free))

    def counted(self, number: int, values: Array) -> npt.NDArray[np.float64]:
        """(channels,) sums of another model's outputs for a crop, where the float ones count."""
        free = np.unpackbits(self._free[number], count=values.size).reshape(values.shape)
        return np.asarray((values * free).sum((0, 1, 2), np.float64))


def corrected(quantized: bytes, floating: bytes, crops: Sequence[Canvas]) -> bytes:
    """The quantized flatbuffer with corrected biases.

    floating: the same graph in float32, with its convolutions in the same order; otherwise a
    ValueError is raised. crops: (h, w, 3) uint8 RGB of the input's size.
    """
    ours, theirs = _unpacked(quantized), _unpacked(floating)
    layers, twins = _convolutions(ours), _convolutions(theirs)
    if _shapes(ours, layers) != _shapes(theirs, twins):
        raise ValueError(
            f"the {len(layers)} quantized convolutions are not the {len(twins)} in float"
        )
    wanted = _expected(theirs, twins, _ranges(ours, layers), crops)
    for layer, expected in zip(layers, wanted, strict=True):
        _correct(ours, layer, expected, (row[0] for row in _outputs(ours, [layer], crops)))
    return _packed(ours)


def _unpacked(flatbuffer: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _convolutions(model: Any) -> list[Any]:
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    operators = model.subgraphs[0].operators
    return [operator for operator in operators if codes[operator.opcodeIndex] in WITH_BIAS]


def _shapes(model: Any, layers: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of the outputs."""
    tensors = model.subgraphs[0].tensors
    return [tuple(tensors[layer.outputs[0]].shape) for layer in layers]


def _expected(
    model: Any, layers: Sequence[Any], ranges: Sequence[Range], crops: Sequence[Canvas]
) -> list[_Expected]:
    """What each layer of the float model gives, from one pass over the crops.

    ranges: of the quantized layers. Values outside them don't count.
    """
    expected = [_Expected() for _ in layers]
    for outputs in _outputs(model, layers, crops):
        for each, (low, high), values in zip(expected, ranges, outputs, strict=True):
            each.add(values, (values > low) & (values < high))
    return expected


def _ranges(model: Any, layers: Sequence[Any]) -> list[Range]:
    """The lowest and the highest value that each layer's int8 output can have.

    The ends are those of its activation, too: an output of ReLU has no level below 0.
    """
    ends = []
    for layer in layers:
        quantization = model.subgraphs[0].tensors[layer.outputs[0]].quantization
        scale, zero = float(quantization.scale[0]), int(quantization.zeroPoint[0])
        ends.append(((LEVELS.min - zero) * scale, (LEVELS.max - zero) * scale))
    return ends


def _outputs(
    model: Any, layers: Sequence[Any], crops: Sequence[Canvas]
) -> Iterator[Sequence[Array]]:
    """The real-valued outputs of some layers for each crop; runs no layer after the last one."""
    graph = model.subgraphs[0]
    operators, outputs, signatures = graph.operators, graph.outputs, model.signatureDefs
    graph.operators = operators[: operators.index(layers[-1]) + 1]
    graph.outputs = [layer.outputs[0] for layer in layers]
    model.signatureDefs = None
    try:
        flatbuffer = _packed(model)
    finally:
        graph.operators, graph.outputs, model.signatureDefs = operators, outputs, signatures
    interpreter = Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_output_details()
    for crop in crops:
        _feed(interpreter, crop)
        interpreter.invoke()
        yield [_real(interpreter.get_tensor(each["index"]), each) for each in details]


def _feed(interpreter: Interpreter, crop: Canvas) -> None:
    details = interpreter.get_input_details()[0]
    if details["dtype"] == np.int8:  # scale 2 / 255 and zero -1 (see `to_tflite`): all 256 levels
        values: Any = np.bitwise_xor(crop, 0x80).view(np.int8)
    else:
        values = normalized(crop)
    interpreter.set_tensor(details["index"], values[None])


def _real(values: Any, details: Any) -> Array:
    values = np.asarray(values)
    if values.dtype != np.int8:
        return np.asarray(values, np.float32)
    scale, zero = details["quantization"]
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale), np.float32)


def _correct(model: Any, layer: Any, expected: _Expected, outputs: Iterable[Array]) -> None:
    """Adds the mean error of each channel to the layer's bias; saturated values don't count."""
    got = sum(expected.counted(number, values) for number, values in enumerate(outputs))
    few = expected.count < MIN_VALUES
    mean = np.where(few, 0, (expected.total - got) / np.maximum(expected.count, 1))
    tensor = model.subgraphs[0].tensors[layer.inputs[2]]
    buffer = model.buffers[tensor.buffer]
    steps = np.round(mean / np.asarray(tensor.quantization.scale)).astype(np.int64)
    bias = np.frombuffer(bytes(buffer.data), np.int32) + steps
    bounds = np.iinfo(np.int32)
    buffer.data = np.frombuffer(bias.clip(bounds.min, bounds.max).astype("<i4").tobytes(), np.uint8)
