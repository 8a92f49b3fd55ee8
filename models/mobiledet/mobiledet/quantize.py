"""Converts a Keras model to a flatbuffer, either float32 or all int8."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from mobiledet.tensorflow import tf

Canvas = npt.NDArray[np.uint8]


def normalized(canvas: Canvas) -> npt.NDArray[np.float32]:
    """Levels 0..255 -> -1..1, the range of a model's input in the daemon."""
    return canvas.astype(np.float32) * np.float32(1 / 127.5) - 1


def to_float(model: Any) -> bytes:
    """A float32 flatbuffer."""
    return _converted(_converter(model))


def to_int8(model: Any, canvases: Iterable[Canvas]) -> bytes:
    """A flatbuffer with weights, activations, input and outputs in int8 (Jacob et al., 2018).

    canvases: (size, size, 3) inputs on which the range of each activation is measured. A twin with
    fake quantization contains its ranges and needs none. Where a network multiplies or adds
    activations, as MobileNet v3 does, use a twin: TensorFlow 2.21 gives the input of such a layer
    the range of its output, probably as its interpreter calculates the layer in place. A share of
    0 to 6 then has some 13 levels instead of 256.
    """
    size = model.inputs[0].shape[1]
    extremes = [np.zeros((size, size, 3), np.uint8), np.full((size, size, 3), 255, np.uint8)]
    pictures = [*canvases, *extremes]  # the extremes fix the input's quantization to pixel - 128

    def samples() -> Iterator[list[npt.NDArray[np.float32]]]:
        for picture in pictures:
            yield [normalized(picture)[None]]

    lite = tf().lite
    converter = _converter(model)
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf().int8
    converter.inference_output_type = tf().int8
    return _converted(converter)


def _converter(model: Any) -> Any:
    """A converter for batches of one: with a fixed shape the runtime can plan its memory.

    The weights are constants of its graph: with variables, a conversion takes three times as long.
    """
    shape = (1, *model.inputs[0].shape[1:])
    weights = [
        [tf().constant(variable.value) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def network(image: Any) -> Any:
        outputs, _ = model.stateless_call(*weights, image, training=False)
        return outputs

    concrete = (
        tf().function(network).get_concrete_function(tf().TensorSpec(shape, tf().float32, "image"))
    )
    # The converter asks for an owner of the variables, of which there are none.
    return tf().lite.TFLiteConverter.from_concrete_functions([concrete], tf().Module())


def _converted(converter: Any) -> bytes:
    with _quiet():
        return bytes(converter.convert())


@contextmanager
def _quiet() -> Iterator[None]:
    """Discards the statistics that the converter writes directly to file descriptor 2."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
