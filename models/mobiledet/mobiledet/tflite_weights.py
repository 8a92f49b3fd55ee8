"""Reads the kernels and biases of an int8 model file as float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.tensorflow import tflite_schema

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A layer's weights, as Keras orders them: (h, w, in, out), or (h, w, channels, 1).

    after_product: whether its input is a product of two tensors of one shape, as hard-swish's is.
    """

    kernel: Floats
    bias: Floats
    after_product: bool


def convolutions(flatbuffer: bytes) -> list[Convolution]:
    """All convolutions, in the file's order."""
    schema = tflite_schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kinds = schema.BuiltinOperator
    products, found = set(), []
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        if code == kinds.MUL and _one_shape(graph, operator):
            products.add(operator.outputs[0])
        elif code in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D):
            data, kernel, bias = operator.inputs[:3]
            values = _values(model, graph.tensors[kernel], np.int8)
            found.append(
                Convolution(
                    np.ascontiguousarray(values.transpose(1, 2, 3, 0)),
                    _values(model, graph.tensors[bias], np.int32),
                    data in products,
                )
            )
    return found


def _one_shape(graph: Any, operator: Any) -> bool:
    one, other = (graph.tensors[number] for number in operator.inputs)
    return list(one.shape) == list(other.shape)


def _values(model: Any, tensor: Any, kind: type[np.signedinteger[Any]]) -> Floats:
    """A constant tensor, with its scales applied along the axis that they belong to."""
    raw = np.frombuffer(model.buffers[tensor.buffer].data, kind).reshape(tensor.shape)
    steps = tensor.quantization
    shape = [1] * raw.ndim
    if len(steps.scale) > 1:
        shape[steps.quantizedDimension] = -1
    return np.asarray(raw * np.asarray(steps.scale, np.float32).reshape(shape), np.float32)
