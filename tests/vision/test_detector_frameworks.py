"""Models of other frameworks, and their own results.

Files by the metadata writers of MediaPipe and of the TFLite Task Library:

The graphs are those of `tests.support.tflite`, with constant outputs; `MetadataWriter` of mediapipe
0.10.14 (`create_for_models_without_nms`) and of tflite-support 0.4.4 (`create_for_inference`) wrote
their metadata. The boxes below (x, y, width, height, label, score) are what each framework's own
`ObjectDetector` returned for a black picture of 320x320; both cut them to whole pixels.

`frameworks/yolo.npz`: outputs of the YOLO heads of ultralytics 8.4.190, yolov5 7.0.14 and
pixeltable-yolox 0.4.3 (Megvii's code), and the boxes that their own functions make of them
(`tests/support/yolo_golden.py` records it).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.config.schema import ModelSettings
from edge.vision.detector import Detector
from tests.support import tflite

FILES = Path(__file__).parent / "frameworks"
MEDIAPIPE = [
    (158, 91, 104, 104, "thing11", 0.82), (131, 120, 65, 78, "thing17", 0.74),
    (28, 22, 66, 111, "thing6", 0.66), (20, 89, 133, 107, "thing1", 0.58),
    (5, 149, 108, 108, "thing11", 0.5),
]  # fmt: skip
TASK_LIBRARY = [
    (49, 148, 61, 107, "thing18", 0.82), (77, 115, 64, 130, "thing19", 0.74),
    (95, 29, 100, 107, "thing7", 0.66), (132, 164, 82, 113, "thing17", 0.58),
    (71, 41, 90, 100, "thing11", 0.5), (215, 18, 80, 83, "thing15", 0.35),
    (52, 183, 96, 109, "thing16", 0.349), (186, 130, 109, 113, "thing15", 0.349),
    (193, 159, 78, 100, "thing13", 0.349), (88, 141, 103, 81, "thing3", 0.349),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [("mediapipe", "mediapipe", MEDIAPIPE), ("mediapipe_swapped", "mediapipe", MEDIAPIPE),
     ("task_library", "postprocess", TASK_LIBRARY)],
)  # fmt: skip
def test_a_file_of_a_framework_gives_its_boxes(
    name: str, layout: str, expected: list[tuple[int, int, int, int, str, float]]
) -> None:
    one = Detector(ModelSettings(), FILES / f"{name}.tflite")
    assert one.model.layout.name == layout
    assert (one.model.input.range.name, one.model.input.source) == ("-1..1", "NormalizationOptions")
    assert one.model.warnings == ()
    found = one.detect(np.zeros((320, 320, 3), np.uint8), expected[-1][-1] - 0.005)
    assert [one.labels[class_id] for class_id in found.class_ids] == [row[4] for row in expected]
    assert found.scores == pytest.approx([row[5] for row in expected], abs=0.001)
    sizes = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    boxes = np.concatenate([found.boxes_xyxy[:, :2], sizes], axis=1)
    assert np.abs(boxes - np.array([row[:4] for row in expected])).max() <= 1


@pytest.mark.parametrize(
    ("name", "layout"),
    [("yolo8", "yolo8"), ("yolo10", "end-to-end"), ("yolo5", "yolo5"), ("yolox", "yolox"),
     ("yolox_decoded", "yolox")],
)  # fmt: skip
def test_a_yolo_gives_the_boxes_of_its_own_framework(
    name: str, layout: str, tmp_path: Path
) -> None:
    recorded = np.load(FILES / "yolo.npz")
    expected = recorded[f"{name}_found"]
    assert len(expected) > 50
    model = tflite.constant_model([recorded[f"{name}_raw"]], (96, 96))
    tflite.saved(tmp_path / "m.tflite", model, [f"thing{number}" for number in range(6)])
    one = Detector(ModelSettings(max_iou=0.5, layout=layout), tmp_path / "m.tflite")
    found = one.detect(np.zeros((96, 96, 3), np.uint8), 0.3)
    assert found.class_ids.tolist() == expected[:, 5].astype(int).tolist()
    assert np.abs(found.scores - expected[:, 4]).max() < 1e-5
    assert np.abs(found.boxes_xyxy - expected[:, :4]).max() < 1e-2
