"""`edge models info`: opens a model as the daemon does, and shows what was found in its file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.errors import PermanentError
from edge.runtime.files import write_file
from edge.vision.detector import Detector
from edge.vision.detector.input import Canvas
from edge.vision.geometry import Cell

RUNS = 10  # the median of them is shown
SHOWN_LABELS = 12
GREY = 114  # around a picture of another shape, as YOLO is trained with; others don't mind
MAX_PICTURE_BYTES = 100_000_000
DRAWN_BGR = (0, 160, 255)


def describe(detector: Detector) -> Iterator[tuple[str, str]]:
    """Names and values of all facts. The time of an invocation is measured here and now."""
    model = detector.model
    plan = model.input
    width, height = detector.input_size
    order = "grey" if plan.geometry.channels == 1 else "BGR" if plan.bgr else "RGB"
    yield "file", str(model.path)
    yield "size", f"{len(model.flatbuffer)} bytes"
    yield "sha256", detector.sha256
    yield "input", f"{width}x{height} {order}, {plan.kind}, {plan.geometry.axes}"
    yield "range", f"{plan.range.name}, from {plan.source}"
    yield "layout", f"{model.layout.name}: {model.layout.about}"
    shown = [*model.labels[:SHOWN_LABELS], *(["…"] if len(model.labels) > SHOWN_LABELS else [])]
    yield "labels", f"{len(model.labels)}: {', '.join(shown)}"
    for group in sorted({*model.groups} - {""}):
        members = [label for label, of in zip(model.labels, model.groups, strict=True)
                   if of == group]  # fmt: skip
        yield "group", f"{group}: {', '.join(members)}"
    yield "time", f"{_median_ms(detector):.1f} ms on this machine"
    for warning in model.warnings:
        yield "warning", warning


def _median_ms(detector: Detector) -> float:
    canvas = np.full((*detector.input_size[::-1], 3), 127, np.uint8)
    taken = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        detector.detect(canvas)
        taken.append((time.perf_counter() - begin) * 1000)
    return float(np.median(taken))


def try_picture(
    detector: Detector, picture: Path, drawn: Path | None
) -> list[tuple[str, float, tuple[int, int, int, int]]]:
    """Label, score and box in pixels of each object in a picture; draws them to `drawn`.

    Raises PermanentError for a file that is no picture, FileError if `drawn` can't be written.
    """
    pixels = read_picture(picture)
    canvas, cell = letterboxed(pixels, detector.input_size)
    found = detector.detect(canvas)
    boxes = np.round(cell.to_main(found.boxes_xyxy)).astype(int)
    height, width = pixels.shape[:2]
    boxes = np.clip(boxes, 0, [width, height, width, height])
    rows = [
        (detector.labels[class_id], float(score), (x0, y0, x1, y1))
        for class_id, score, (x0, y0, x1, y1) in zip(
            found.class_ids.tolist(), found.scores.tolist(), boxes.tolist(), strict=True
        )
    ]
    if drawn is not None:
        write_file(drawn, _drawn(pixels, rows, drawn.suffix))
    return rows


def read_picture(path: Path) -> Canvas:
    """(h, w, 3) RGB. Raises PermanentError."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
            raise PermanentError(f"{path}: not a picture file below {MAX_PICTURE_BYTES} bytes")
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise PermanentError(f"{path}: can't be read as a picture: {error}") from error
    if pixels is None:
        raise PermanentError(f"{path}: not a picture that OpenCV can read")
    return np.ascontiguousarray(pixels[..., ::-1], np.uint8)


def letterboxed(pixels: Canvas, size: tuple[int, int]) -> tuple[Canvas, Cell]:
    """A picture in the middle of a canvas of (width, height), its shape kept; and its place."""
    height, width = pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas = np.full((size[1], size[0], 3), GREY, np.uint8)
    canvas[y : y + inner[1], x : x + inner[0]] = cv2.resize(
        pixels, inner, interpolation=cv2.INTER_AREA
    )
    return canvas, Cell((0, 0, width, height), (x, y, x + inner[0], y + inner[1]))


def _drawn(
    pixels: Canvas, rows: list[tuple[str, float, tuple[int, int, int, int]]], suffix: str
) -> bytes:
    picture = np.ascontiguousarray(pixels[..., ::-1])
    thickness = max(1, picture.shape[0] // 300)
    for label, score, (x0, y0, x1, y1) in rows:
        cv2.rectangle(picture, (x0, y0), (x1, y1), DRAWN_BGR, thickness)
        text = f"{label} {score:.2f}"
        cv2.putText(picture, text, (x0, max(12, y0 - 4)), cv2.FONT_HERSHEY_SIMPLEX,
                    0.4 + thickness / 5, DRAWN_BGR, thickness)  # fmt: skip
    done, data = cv2.imencode(suffix if suffix in (".jpg", ".png") else ".jpg", picture)
    if not done:
        raise PermanentError("the picture with boxes can't be encoded")
    return data.tobytes()
