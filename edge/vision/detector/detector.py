"""The detector: runs the model on a canvas and returns boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import ModelSettings
from edge.errors import ModelError
from edge.vision.detector.model_file import ModelFile, read_model
from edge.vision.detector.runtime import Interpreter, open_interpreter, quantization
from edge.vision.detector.ssd import SsdDecoder
from edge.vision.geometry import nms
from edge.vision.types import Detections

Canvas = npt.NDArray[np.uint8]
Reader = Callable[[float], Detections]
HALFWAY = 1e-3  # steps; a value this close below the middle of two steps is on it
MAX_CANDIDATES = 200  # boxes that enter NMS, whose cost grows with their square: 1 ms here


class Detector:
    """An SSD-style TFLite model, with or without `TFLite_Detection_PostProcess`.

    Not thread-safe: the interpreter's tensors are written and read in place.
    """

    def __init__(self, settings: ModelSettings, path: Path) -> None:
        """path: the file of the model that `settings.file` names. Raises ModelError."""
        model = read_model(path)
        self._settings = settings
        self._interpreter = open_interpreter(
            model.flatbuffer, runtime=settings.runtime, threads=settings.threads
        )
        (self._input,) = self._interpreter.get_input_details()
        _, height, width, channels = self._input["shape"]
        if channels != 3:
            raise ModelError(f"model {path}: its input has {channels} channels, not 3")
        self.input_size: tuple[int, int] = (int(width), int(height))
        self.labels: tuple[str, ...] = model.labels
        self.name: str = model.spec.name if model.spec else path.stem
        self._write = _writer(self._interpreter, self._input, path)
        self._read = _reader(self._interpreter, model)

    def detect(self, canvas: Canvas, min_score: float | None = None) -> Detections:
        """Runs the model once.

        canvas: (height, width, 3) RGB uint8 of the model's input size; not kept.
        min_score: lowest score returned; None uses the setting.
        Returns detections in pixels of the canvas, best first, after NMS per class.
        """
        if min_score is None:
            min_score = self._settings.min_score
        self._write(canvas)
        self._interpreter.invoke()
        raw = self._read(min_score)
        kept = raw[nms(raw.boxes_xyxy, raw.scores, raw.class_ids, self._settings.max_iou)]
        width, height = self.input_size
        size = np.array([width, height, width, height], np.float32)
        return Detections(kept.boxes_xyxy * size, kept.scores, kept.class_ids)


def _writer(
    interpreter: Interpreter, detail: dict[str, Any], path: Path
) -> Callable[[Canvas], None]:
    """Copies a canvas into the interpreter's memory and quantizes it in the same pass."""
    tensor = interpreter.tensor(detail["index"])
    table = input_table(detail, path)
    if detail["dtype"] == np.int8 and np.array_equal(table, np.arange(256, dtype=np.uint8) ^ 0x80):

        def flip(canvas: Canvas) -> None:
            np.bitwise_xor(canvas, 0x80, out=tensor()[0].view(np.uint8))

        return flip

    def look_up(canvas: Canvas) -> None:
        if detail["dtype"] == np.float32:
            np.take(table, canvas, out=tensor()[0])
        else:
            cv2.LUT(canvas, table, tensor()[0].view(np.uint8))

    return look_up


def input_table(detail: dict[str, Any], path: Path) -> npt.NDArray[Any]:
    """The input value of each of the 256 levels: (256,) float32, or uint8 with the bits of an int8.

    Models of the MobileNet family are trained on -1..1: level p becomes p / 127.5 - 1.
    """
    real = np.arange(256, dtype=np.float32) / np.float32(127.5) - 1
    scale, zero_point = quantization(detail)
    kind = detail["dtype"]
    if kind == np.float32:
        return real
    if kind not in (np.int8, np.uint8) or scale == 0:
        raise ModelError(f"model {path}: its input is {kind.__name__}, not int8, uint8 or float32")
    limits = np.iinfo(kind)
    # Half a step is rounded up. Otherwise (to even, or by the last digits of a scale of 2 / 255,
    # where every level is halfway) neighbouring levels of the picture would become equal.
    exact = real.astype(np.float64) / scale + zero_point
    levels = np.clip(np.floor(exact + 0.5 + HALFWAY), limits.min, limits.max)
    return np.asarray(levels.astype(kind).view(np.uint8))


def _reader(interpreter: Interpreter, model: ModelFile) -> Reader:
    outputs = interpreter.get_output_details()
    if len(outputs) == 4:
        return _postprocessed(interpreter, outputs, len(model.labels))
    if len(outputs) == 2 and model.spec is not None:
        return _raw(interpreter, outputs, model)
    raise ModelError(
        f"model {model.path}: neither TFLite_Detection_PostProcess outputs nor raw boxes and "
        "scores with attached anchors"
    )


def _postprocessed(
    interpreter: Interpreter, outputs: list[dict[str, Any]], class_count: int
) -> Reader:
    """TFLite_Detection_PostProcess: boxes (ymin xmin ymax xmax), classes, scores, count."""
    boxes, classes, scores, count = sorted(outputs, key=lambda detail: str(detail["name"]))

    def read(min_score: float) -> Detections:
        valid = int(interpreter.get_tensor(count["index"])[0])
        valid_scores = interpreter.get_tensor(scores["index"])[0][:valid]
        class_ids = interpreter.get_tensor(classes["index"])[0][:valid].astype(np.int64)
        rows = np.flatnonzero((valid_scores >= min_score) & (class_ids < class_count))
        corners = interpreter.get_tensor(boxes["index"])[0][rows]
        return Detections(corners[:, [1, 0, 3, 2]], valid_scores[rows], class_ids[rows])

    return read


def _raw(interpreter: Interpreter, outputs: list[dict[str, Any]], model: ModelFile) -> Reader:
    """Boxes (1, n, 4) and scores (1, n, columns), distinguished by their number of columns."""
    assert model.spec is not None
    assert model.anchors is not None
    columns = model.spec.first_class_column + len(model.labels)
    by_columns = {int(detail["shape"][-1]): detail for detail in outputs}
    if set(by_columns) != {4, columns}:
        raise ModelError(f"model {model.path}: outputs {sorted(by_columns)} wide, not {columns}, 4")
    boxes, scores = by_columns[4], by_columns[columns]
    decode = SsdDecoder(model.spec, model.anchors, quantization(boxes), quantization(scores))

    def read(min_score: float) -> Detections:
        codes = interpreter.get_tensor(boxes["index"])[0]
        return decode(codes, interpreter.get_tensor(scores["index"])[0], min_score, MAX_CANDIDATES)

    return read
