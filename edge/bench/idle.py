"""Cost of a frame in a drawn scene, relative to the least that frame differencing can cost."""

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
from edge.vision.build import build_detector, build_pipeline
from edge.vision.detector import Detector
from edge.vision.motion import MotionDetector
from edge.vision.regions import Packer
from edge.vision.types import Frame, Luma, SourceInfo

FRAMES, FPS = 300, 25
SIZE, MAIN_SIZE = (320, 240), (640, 480)  # width, height of luma plane and picture
ROWS = 5  # of `IdleReport`
FLOOR_LEVELS = 14  # the default of motion.floor

Run = Callable[[Frame, Luma], object]


class IdleReport(msgspec.Struct, frozen=True):
    """CPU time per frame by row, in microseconds and relative to the floor.

    floor: resize, absolute difference and threshold. motion: the motion stage. pipeline: all
    stages. MOG2: OpenCV's background subtractor. whole-frame: an invocation for the whole picture
    of each frame, without differencing. invocations: of `pipeline`, in one round.
    """

    scene: str
    cpu_us: dict[str, float]
    over_floor: dict[str, float]
    invocations: int


def idle(
    settings: Settings, scene: str, rounds: int, on_row: Callable[[], object] = lambda: None
) -> IdleReport:
    """Measures all rows on one scene. They take turns, so that a disturbance affects them all.

    on_row: called after each of the `ROWS` in each round.
    """
    frames = drawn_frames(scene)
    detector = CountingDetector(build_detector(settings))
    spent_ns = interleaved(
        rows_of(settings, detector), frames, rounds, time.process_time_ns, on_row
    )
    cpu_us = {name: statistics.median(values) / 1e3 for name, values in spent_ns.items()}
    return IdleReport(
        scene,
        {name: round(value, 1) for name, value in cpu_us.items()},
        {name: round(value / cpu_us["floor"], 2) for name, value in cpu_us.items()},
        detector.invocations // rounds,
    )


def drawn_frames(scene: str) -> list[Frame]:
    """Frames of a drawn scene with empty luma planes, since each row makes its luma itself."""
    drawn = SyntheticScene(scene, SceneOptions(fps=FPS))
    empty = np.zeros(SIZE[::-1], np.uint8)
    return [
        Frame(index, NS_PER_S + index * NS_PER_S // FPS, 0, empty, drawn.render(index))
        for index in range(FRAMES)
    ]


class CountingDetector:
    """A detector that counts its invocations."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.labels, self.input_size = (
            detector, detector.labels, detector.input_size,
        )  # fmt: skip
        self.groups, self.weak_score = detector.groups, detector.weak_score
        self.min_score = detector.min_score
        self.invocations = 0

    def detect(self, canvas: Luma, min_score: float | None = None) -> Any:
        self.invocations += 1
        return self.detector.detect(canvas, min_score)


def rows_of(settings: Settings, detector: CountingDetector) -> dict[str, Callable[[], Run]]:
    """By name of a row of `IdleReport`, a function that makes a new run."""
    return {
        "floor": _floor,
        "motion": lambda: _motion(settings),
        "pipeline": lambda: _pipeline(settings, detector),
        "MOG2": _mog2,
        "whole-frame": lambda: _whole(settings, detector.detector),
    }


def interleaved(
    rows: dict[str, Callable[[], Run]],
    frames: list[Frame],
    rounds: int,
    now: Callable[[], int],
    on_row: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """For each row, the cost of a frame in each round, in the unit of `now`.

    The first frames of a round, in which the background is learnt, do not count.
    """
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
            on_row()
    return taken


def _floor() -> Run:
    """Difference and threshold; `interleaved` makes the resize, for all rows."""
    before = np.zeros(SIZE[::-1], np.uint8)
    return lambda _, luma: cv2.threshold(
        cv2.absdiff(luma, before), FLOOR_LEVELS, 255, cv2.THRESH_BINARY
    )


def _motion(settings: Settings) -> Run:
    motion = MotionDetector(settings.motion, (SIZE[1], SIZE[0]), MAIN_SIZE)
    return lambda frame, luma: motion(luma, frame.timestamp_ns)


def _mog2() -> Run:
    subtractor = cv2.createBackgroundSubtractorMOG2()
    return lambda _, luma: subtractor.apply(luma)


def _pipeline(settings: Settings, detector: CountingDetector) -> Run:
    info = SourceInfo("drawn", MAIN_SIZE, SIZE, FPS, live=False)
    pipeline = build_pipeline(settings, detector, info)

    def run(frame: Frame, luma: Luma) -> object:
        return pipeline(Frame(frame.index, frame.timestamp_ns, 0, luma, frame.main))

    return run


def _whole(settings: Settings, detector: Detector) -> Run:
    packer = Packer(settings.regions, detector.input_size, MAIN_SIZE)
    layout = packer.whole()
    return lambda frame, _: detector.detect(packer.fill(layout, frame.main))
