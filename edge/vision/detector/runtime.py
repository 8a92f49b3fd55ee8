"""The only importer of a TFLite runtime: `ai-edge-litert` if it is installed, or `tflite-runtime`.

Both have the same interpreter, by the same team under two names. With the same kernels their
results are identical; each takes its fastest kernels by default, which round differently by a step
or two.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy.typing as npt

from edge.errors import ModelError, PermanentError
from edge.runtime.native_stderr import without_lines

RuntimeName = Literal["auto", "ai-edge-litert", "tflite-runtime"]
MODULES: dict[RuntimeName, str] = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
CHATTER = b"INFO: "  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." belongs in no log


class Interpreter(Protocol):
    """The part of the runtime's class that is used."""

    def allocate_tensors(self) -> None: ...
    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int]) -> None: ...
    def invoke(self) -> None: ...
    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def tensor(self, tensor_index: int) -> Any: ...
    def get_tensor(self, tensor_index: int) -> npt.NDArray[Any]: ...


def installed_runtimes() -> list[RuntimeName]:
    """Names of the runtimes that can be imported here, the preferred one first."""
    return [name for name in MODULES if _interpreter_class(name) is not None]


def open_interpreter(
    model: bytes,
    *,
    runtime: RuntimeName = "auto",
    threads: int = 1,
    keep_all: bool = False,
    delegates: bool = True,
    input_shape: tuple[int, ...] | None = None,
) -> Interpreter:
    """An interpreter with its tensors allocated.

    model: the flatbuffer; the runtime keeps a reference to it.
    keep_all: keeps intermediate tensors readable, for tests.
    delegates: uses the runtime's fastest kernels; otherwise those that both runtimes share.
    input_shape: of the only input, if it differs from the file's.
    Raises PermanentError if the runtime isn't installed, ModelError if it refuses the model.
    """
    names = list(MODULES) if runtime == "auto" else [runtime]
    for name in names:
        interpreter_class = _interpreter_class(name)
        if interpreter_class is None:
            continue
        try:
            with without_lines(CHATTER):
                interpreter: Interpreter = interpreter_class(
                    model_content=model,
                    num_threads=threads,
                    experimental_preserve_all_tensors=keep_all,
                    experimental_op_resolver_type=_resolver(name, delegates),
                )
                if input_shape is not None:
                    (detail,) = interpreter.get_input_details()
                    interpreter.resize_tensor_input(detail["index"], input_shape)
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{name} can't run the model: {reason}") from error
        return interpreter
    wanted = " or ".join(names)
    raise PermanentError(f"no TFLite runtime is installed ({wanted}): pip install {names[0]}")


def _resolver(name: RuntimeName, delegates: bool) -> Any:
    kinds = importlib.import_module(MODULES[name]).OpResolverType
    return kinds.AUTO if delegates else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def _interpreter_class(name: RuntimeName) -> Any:
    try:
        return importlib.import_module(MODULES[name]).Interpreter
    except (ImportError, AttributeError):  # AttributeError: a runtime built for another numpy
        return None


def quantization(detail: dict[str, Any]) -> tuple[float, int]:
    """(scale, zero point) of a tensor; scale 0 if it isn't quantized."""
    scale, zero_point = detail["quantization"]
    return float(scale), int(zero_point)
