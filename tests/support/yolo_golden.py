"""Records outputs of YOLO heads, and what the frameworks' own functions make of them.

    pip install torch==2.13.0 torchvision==0.28.0 ultralytics==8.4.190
    pip install --no-deps yolov5==7.0.14 pixeltable-yolox==0.4.3
    python tests/support/yolo_golden.py tests/vision/frameworks/yolo.npz

The convolutions of each head return random numbers; what follows them (distributions, anchors,
grids, activations) is the framework's code. Where torchvision can't be installed, its NMS and box
conversion may be replaced by stand-ins, as they were for the present record.

`NAME_raw` is the output of an exported graph, `NAME_found` (n, 6) the boxes x0 y0 x1 y1 in pixels
of the input, score and class, best first.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from ultralytics.nn.modules.head import Detect
from ultralytics.utils.nms import non_max_suppression as ultralytics_nms
from yolov5.models.yolo import Detect as Yolo5Detect
from yolov5.utils.general import non_max_suppression as yolo5_nms
from yolox.models.yolo_head import YoloxHead
from yolox.utils.boxes import postprocess as yolox_postprocess

SIDE, CLASSES, STRIDES = 96, 6, (8, 16, 32)
SIDES = [SIDE // stride for stride in STRIDES]
MIN_SCORE, MAX_IOU = 0.3, 0.5
YOLO5_ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))


class Fixed(torch.nn.Module):  # type: ignore[misc]
    """A layer whose output is chosen."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.output


def logits(channels: int, side: int, mean: float, spread: float) -> torch.Tensor:
    return torch.randn(1, channels, side, side) * spread + mean


def yolo8() -> tuple[Any, Any]:
    head = Detect(nc=CLASSES, ch=(16, 16, 16)).eval()
    head.stride = torch.tensor(STRIDES, dtype=torch.float32)
    for level, side in enumerate(SIDES):
        head.cv2[level] = Fixed(logits(4 * head.reg_max, side, 0, 2))
        head.cv3[level] = Fixed(logits(CLASSES, side, -3, 1.5))
    raw = head([torch.zeros(1, 16, side, side) for side in SIDES])[0]
    return raw, ultralytics_nms(raw.clone(), MIN_SCORE, MAX_IOU)[0]


def yolo10() -> tuple[Any, Any]:
    """The rows that a YOLOv10 chooses itself; the detector joins those that overlap."""
    raw, _ = yolo8()
    head = Detect(nc=CLASSES, ch=(16, 16, 16))
    corners = torchvision.ops.box_convert(raw[:, :4].transpose(1, 2), "cxcywh", "xyxy")
    chosen = head.postprocess(torch.cat([corners, raw[:, 4:].transpose(1, 2)], 2))
    (rows,) = chosen
    rows = rows[rows[:, 4] >= MIN_SCORE]
    kept = torchvision.ops.batched_nms(rows[:, :4], rows[:, 4], rows[:, 5], MAX_IOU)
    return chosen, rows[kept]


def yolo5() -> tuple[Any, Any]:
    channels = (3 * (CLASSES + 5),) * 3
    head = Yolo5Detect(nc=CLASSES, anchors=YOLO5_ANCHORS, ch=channels).eval()
    head.stride = torch.tensor(STRIDES, dtype=torch.float32)
    head.anchors /= head.stride.view(-1, 1, 1)
    for level, side in enumerate(SIDES):
        head.m[level] = Fixed(logits(channels[0], side, -0.7, 1.5))
    raw = head([torch.zeros(1, channels[0], side, side) for side in SIDES])[0]
    return raw, yolo5_nms(raw.clone(), MIN_SCORE, MAX_IOU)[0]


def yolox(*, decoded: bool) -> tuple[Any, Any]:
    head = YoloxHead(CLASSES)
    head.hw = [(side, side) for side in SIDES]
    parts = []
    for side in SIDES:
        boxes = torch.cat([logits(2, side, 0.5, 0.3), logits(2, side, 0.6, 0.5)], 1)
        scores = logits(CLASSES + 1, side, -0.5, 1.5).sigmoid()
        parts.append(torch.cat([boxes, scores], 1).flatten(2))
    raw = torch.cat(parts, 2).transpose(1, 2)
    pixels = head.decode_outputs(raw, dtype="torch.FloatTensor")
    found = yolox_postprocess(pixels.clone(), CLASSES, MIN_SCORE, MAX_IOU)[0]
    rows = torch.cat([found[:, :4], found[:, 4:5] * found[:, 5:6], found[:, 6:]], 1)
    return pixels if decoded else raw, rows


def main(out: Path) -> None:
    torch.manual_seed(17)
    arrays = {}
    with torch.no_grad():
        for name, (raw, found) in {
            "yolo8": yolo8(),
            "yolo10": yolo10(),
            "yolo5": yolo5(),
            "yolox": yolox(decoded=False),
            "yolox_decoded": yolox(decoded=True),
        }.items():
            best_first = found[found[:, 4].argsort(descending=True)]
            arrays[f"{name}_raw"] = np.asarray(raw, np.float32)
            arrays[f"{name}_found"] = np.asarray(best_first, np.float32)
            print(name, arrays[f"{name}_raw"].shape, len(best_first))
    np.savez_compressed(out, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
