"""What a frame costs, beside the least that frame differencing can cost: `python -m edge.bench`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from edge.catalog import find_model
from edge.detector import Detector
from edge.frame import Luma
from edge.motion import MotionDetector
from edge.settings import MotionSettings, Settings
from edge.sources.synthetic import SceneOptions, SyntheticScene

FRAMES, ROUNDS, FPS = 300, 5, 25
SIZE = (320, 240)  # of the luma plane


def main() -> None:
    """Prints CPU per frame on a still and on a busy scene, and of one invocation."""
    for scene in ("still", "busy"):
        rendered = SyntheticScene(scene, SceneOptions())
        lumas = [rendered.render(index).luma() for index in range(FRAMES)]
        rows = {"floor": _floor, "motion": _motion, "MOG2": _mog2}
        times = _interleaved(rows, lumas)
        print(f"{scene} scene, resize included, CPU per frame")
        for name, taken_us in times.items():
            print(f"  {name:8} {taken_us:8.1f} us  {taken_us / times['floor']:6.2f} x floor")
    invocation_us = _invocation_us()
    ratio = invocation_us / times["motion"]
    print(f"invocation {invocation_us:8.1f} us  {ratio:6.2f} x motion on the busy scene")


def _interleaved(
    rows: dict[str, Callable[[], Callable[[Luma, int], object]]], lumas: list[Luma]
) -> dict[str, float]:
    """Median of rounds in which all take turns, so that a busy machine is unfair to none."""
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, make in rows.items():
            run, start_s = make(), time.process_time()
            for index, luma in enumerate(lumas):
                run(cv2.resize(luma, SIZE, interpolation=cv2.INTER_AREA), index)  # type: ignore[arg-type]
            taken[name].append((time.process_time() - start_s) / len(lumas) * 1e6)
    return {name: statistics.median(values) for name, values in taken.items()}


def _floor() -> Callable[[Luma, int], object]:
    """The three calls that any frame differencing makes: resize, absdiff, threshold."""
    before = np.zeros(SIZE[::-1], np.uint8)
    return lambda luma, _: cv2.threshold(cv2.absdiff(luma, before), 14, 255, cv2.THRESH_BINARY)


def _motion() -> Callable[[Luma, int], object]:
    motion = MotionDetector(MotionSettings(), (SIZE[1], SIZE[0]), (640, 480))
    return lambda luma, index: motion(luma, index * 1_000_000_000 // FPS)


def _mog2() -> Callable[[Luma, int], object]:
    subtractor = cv2.createBackgroundSubtractorMOG2()
    return lambda luma, _: subtractor.apply(luma)


def _invocation_us() -> float:
    settings = Settings().model
    detector = Detector(settings, find_model(settings.file))
    canvas = np.full((detector.input_size[1], detector.input_size[0], 3), 127, np.uint8)
    taken = []
    for _ in range(20):
        start_s = time.process_time()
        detector.detect(canvas)
        taken.append((time.process_time() - start_s) * 1e6)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
