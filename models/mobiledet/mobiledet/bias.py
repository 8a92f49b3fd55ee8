"""Empirical bias correction of a model that was quantized to int8.

Rounding shifts the mean of each channel, and the shifts add up from layer to layer. The mean error
of each channel against the float model, over some crops, is added to the channel's int32 bias, one
layer after another, each with the corrections of the layers before it in effect. Source: Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.quantize import Canvas

Array = np.ndarray[Any, np.dtype[np.float32]]

WITH_BIAS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
RELU, RELU_6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
SATURATED = 6.0  # the upper end of RELU6
MIN_VALUES = 20  # of a channel; the mean of fewer is chance


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
    for layer, twin in zip(layers, twins, strict=True):
        _correct(ours, layer, _outputs(ours, layer, crops), _outputs(theirs, twin, crops))
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


def _outputs(model: Any, layer: Any, crops: Sequence[Canvas]) -> list[Array]:
    """The real-valued outputs of a layer for each crop; runs no layer after it."""
    graph = model.subgraphs[0]
    operators, outputs, signatures = graph.operators, graph.outputs, model.signatureDefs
    graph.operators = operators[: operators.index(layer) + 1]
    graph.outputs = [layer.outputs[0]]
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
    (details,) = interpreter.get_output_details()
    results = []
    for crop in crops:
        _feed(interpreter, crop)
        interpreter.invoke()
        results.append(_real(interpreter.get_tensor(details["index"]), details))
    return results


def _feed(interpreter: Interpreter, crop: Canvas) -> None:
    details = interpreter.get_input_details()[0]
    if details["dtype"] == np.int8:  # scale 2 / 255 and zero -1 (see `to_tflite`): all 256 levels
        values: Any = np.bitwise_xor(crop, 0x80).view(np.int8)
    else:
        values = np.asarray(crop, np.float32) * (2 / 255) - 1
    interpreter.set_tensor(details["index"], values[None])


def _real(values: Any, details: Any) -> Array:
    values = np.asarray(values)
    if values.dtype != np.int8:
        return np.asarray(values, np.float32)
    scale, zero = details["quantization"]
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale), np.float32)


def _correct(model: Any, layer: Any, got: list[Array], expected: list[Array]) -> None:
    """Adds the mean error of each channel to the layer's bias; saturated values don't count."""
    activation = layer.builtinOptions.fusedActivationFunction
    error = values = np.zeros(got[0].shape[-1])
    for ours, theirs in zip(got, expected, strict=True):
        free = np.ones(theirs.shape, bool)
        if activation in (RELU, RELU_6):
            free = theirs > 0
        if activation == RELU_6:
            free &= theirs < SATURATED
        error = error + ((theirs - ours) * free).sum((0, 1, 2))
        values = values + free.sum((0, 1, 2))
    mean = np.where(values < MIN_VALUES, 0, error / np.maximum(values, 1))
    tensor = model.subgraphs[0].tensors[layer.inputs[2]]
    buffer = model.buffers[tensor.buffer]
    steps = np.round(mean / np.asarray(tensor.quantization.scale)).astype(np.int64)
    bias = np.frombuffer(bytes(buffer.data), np.int32) + steps
    bounds = np.iinfo(np.int32)
    buffer.data = np.frombuffer(bias.clip(bounds.min, bounds.max).astype("<i4").tobytes(), np.uint8)
