"""Detections on real frames, computed on one machine and compared with another's.

    python -m tests.pi.detections choose VIDEO FRAMES.mp4 [COUNT STEP RATE]
    python -m tests.pi.detections find FRAMES.mp4 >HERE.json
    python -m tests.pi.detections compare HERE.json THERE.json

Decoding, crops, model and decoder are those of the project, with each installed runtime. The frames
are encoded again in H.264, whose decoding is defined to the bit; decoding of the footage's MPEG-4
is not. `compare` exits 1 if the second differs from the first.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import numpy.typing as npt

from edge.config.schema import ModelSettings, SourceSettings
from edge.sources.video import VideoSource
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.runtime import installed_runtimes

FRAMES, STEP = 20, 39  # spread over the 795 of PETS 2009 S2.L1
CROP_XYXY = (234, 138, 534, 438)  # the size of the model's input, on the path where people walk
# Largest difference of a runtime's detections between two processors, in px and score.
# ai-edge-litert has the same arithmetic on both; tflite-runtime rounds differently on aarch64.
TOLERANCE = {"ai-edge-litert": (0.01, 1e-4), "tflite-runtime": (2.0, 0.1)}


def choose(video: str, chosen: str, count: int = FRAMES, step: int = STEP, rate: int = 10) -> None:
    """Writes `count` frames of the footage, every `step`-th, with a frame rate of `rate`."""
    with av.open(video) as footage, av.open(chosen, "w") as out:
        given = footage.streams.video[0]
        stream = out.add_stream("libx264", rate=rate, options={"crf": "12", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        for index, frame in enumerate(islice(footage.decode(given), 0, count * step, step)):
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, rate), 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def crops(video: str) -> Iterator[npt.NDArray[np.uint8]]:
    """(300, 300, 3) RGB uint8."""
    source = VideoSource(SourceSettings(uri=video, fast=True))
    source.open()
    while (frame := source.read()) is not None:
        yield np.ascontiguousarray(frame.main.rgb(CROP_XYXY))
    source.close()


def find(video: str) -> dict[str, Any]:
    """Detections of each runtime in each crop: rows of x0, y0, x1, y1, score."""
    pictures = list(crops(video))
    detections = {}
    for runtime in installed_runtimes():
        settings = msgspec.convert({"runtime": runtime}, ModelSettings)
        detector = Detector(settings, find_model(settings.file))
        results = [detector.detect(picture) for picture in pictures]
        detections[runtime] = [np.column_stack([r.boxes_xyxy, r.scores]).tolist() for r in results]
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "crops": [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures],
        "detections": detections,
    }


def compare(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Prints how near the two are; returns a sentence for each difference that is too large."""
    wrong = []
    same_crops = sum(a == b for a, b in zip(here["crops"], there["crops"], strict=True))
    print(f"{there['machine']}: {same_crops} of {FRAMES} decoded crops equal to the bit")
    if not same_crops == len(here["crops"]) == FRAMES:
        wrong.append("decoded pictures differ")
    for runtime, theirs in there["detections"].items():
        reference = runtime if runtime in here["detections"] else "ai-edge-litert"
        pairs = list(zip(here["detections"][reference], theirs, strict=True))
        if any(len(ours) != len(other) for ours, other in pairs) or not any(theirs):
            wrong.append(f"{runtime} detects another number of objects")
            continue
        off = np.abs(np.concatenate([np.reshape(np.subtract(a, b), (-1, 5)) for a, b in pairs]))
        px, score = off[:, :4].max(), off[:, 4].max()
        print(
            f"  {runtime}: {len(off)} detections, equal to the bit in "
            f"{sum(a == b for a, b in pairs)} of {FRAMES} frames; at most {px:.5f} px and "
            f"{score:.6f} of score off {reference} on {here['machine']}"
        )
        if px > TOLERANCE[runtime][0] or score > TOLERANCE[runtime][1]:
            wrong.append(f"{runtime} differs by more than its tolerance")
    return wrong


def main(command: str, *files: str) -> int:
    if command == "choose":
        video, chosen, *numbers = files
        choose(video, chosen, *map(int, numbers))
        return 0
    if command == "find":
        json.dump(find(*files), sys.stdout)
        return 0
    wrong = compare(*(json.loads(Path(file).read_text()) for file in files))
    for sentence in wrong:
        print(f"FAILED: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
