"""What a frame costs where nothing happens, beside the least that frame differencing can cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np

from edge.bench.stages import WARM_UP_FRAMES
from edge.config.schema import Settings
from edge.runtime.times import NS_PER_S
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.motion import MotionDetector
from edge.vision.pipeline import Pipeline
from edge.vision.regions import Packer
from edge.vision.types import Frame, Luma

FRAMES, FPS = 300, 25
SIZE = (320, 240)  # of the luma plane

Run = Callable[[Frame, Luma], object]


class IdleReport(msgspec.Struct, frozen=True):
    """CPU of a frame by row, in microseconds and over the floor.

    floor: resize, absolute difference and threshold, that is all. motion: this project's.
    pipeline: all of it. MOG2: OpenCV's. whole-frame: an invocation for each frame, no differencing.
    """

    scene: str
    cpu_us: dict[str, float]
    over_floor: dict[str, float]
    invocations: int


def idle(settings: Settings, scene: str, rounds: int) -> IdleReport:
    """Renders a scene beforehand; then all rows take turns, so that no one has the bad moment."""
    frames = drawn_frames(scene)
    detector = Counted(Detector(settings.model, find_model(settings.model.file)))
    spent_ns = interleaved(rows_of(settings, detector), frames, rounds, time.process_time_ns)
    cpu_us = {name: statistics.median(values) / 1e3 for name, values in spent_ns.items()}
    return IdleReport(
        scene,
        {name: round(value, 1) for name, value in cpu_us.items()},
        {name: round(value / cpu_us["floor"], 2) for name, value in cpu_us.items()},
        detector.invocations // rounds,
    )


def drawn_frames(scene: str) -> list[Frame]:
    """Pictures of a synthetic scene, without their luma planes: each row makes its own."""
    drawn = SyntheticScene(scene, SceneOptions(fps=FPS))
    empty = np.zeros(SIZE[::-1], np.uint8)
    return [
        Frame(index, NS_PER_S + index * NS_PER_S // FPS, 0, empty, drawn.render(index))
        for index in range(FRAMES)
    ]


class Counted:
    """Passes on a detector and counts."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.labels, self.input_size = (
            detector, detector.labels, detector.input_size,
        )  # fmt: skip
        self.invocations = 0

    def detect(self, canvas: Luma, min_score: float | None = None) -> Any:
        self.invocations += 1
        return self.detector.detect(canvas, min_score)


def rows_of(settings: Settings, detector: Counted) -> dict[str, Callable[[], Run]]:
    """What is compared, by the names of `IdleReport`; each makes a run that starts anew."""
    return {
        "floor": _floor,
        "motion": lambda: _motion(settings),
        "pipeline": lambda: _pipeline(settings, detector),
        "MOG2": _mog2,
        "whole-frame": lambda: _whole(settings, detector.detector),
    }


def interleaved(
    rows: dict[str, Callable[[], Run]], frames: list[Frame], rounds: int, now: Callable[[], int]
) -> dict[str, list[float]]:
    """What a frame took by `now`, by round; the first frames, which teach, are left out."""
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, make in rows.items():
            run, start = make(), 0
            for frame in frames:
                if frame.index == WARM_UP_FRAMES:
                    start = now()
                luma = cv2.resize(frame.main.luma(), SIZE, interpolation=cv2.INTER_AREA)
                run(frame, luma)  # type: ignore[arg-type]
            taken[name].append((now() - start) / (len(frames) - WARM_UP_FRAMES))
    return taken


def _floor() -> Run:
    """The three calls that any frame differencing makes; the resize is in the loop of all rows."""
    before = np.zeros(SIZE[::-1], np.uint8)
    return lambda _, luma: cv2.threshold(cv2.absdiff(luma, before), 14, 255, cv2.THRESH_BINARY)


def _motion(settings: Settings) -> Run:
    motion = MotionDetector(settings.motion, (SIZE[1], SIZE[0]), (640, 480))
    return lambda frame, luma: motion(luma, frame.timestamp_ns)


def _mog2() -> Run:
    subtractor = cv2.createBackgroundSubtractorMOG2()
    return lambda _, luma: subtractor.apply(luma)


def _pipeline(settings: Settings, detector: Counted) -> Run:
    pipeline = Pipeline(settings, detector, (SIZE[1], SIZE[0]), (640, 480))

    def run(frame: Frame, luma: Luma) -> object:
        return pipeline(Frame(frame.index, frame.timestamp_ns, 0, luma, frame.main))

    return run


def _whole(settings: Settings, detector: Detector) -> Run:
    packer = Packer(settings.regions, detector.input_size, (640, 480))
    layout = packer.whole()
    return lambda frame, _: detector.detect(packer.fill(layout, frame.main))
