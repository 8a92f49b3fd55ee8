"""Cost of the parts in instructions of the processor, counted by `scripts/pi/count.c`.

    python -m tests.pi.cost COUNTERS [VIDEO]

Runs in the emulator, which counts into the file COUNTERS. Without footage, only invocations are
counted. Each figure is a slope over frames: the count at the end, less that after the first frames,
divided by the frames between, several times.
"""

from __future__ import annotations

import mmap
import statistics
import sys
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from edge.bench.clock import CpuClock
from edge.bench.idle import CountingDetector, drawn_frames, interleaved, rows_of
from edge.bench.stages import STAGES, WARM_UP_FRAMES, FrameMessages, preload
from edge.bus.publisher import Publisher
from edge.config.schema import BusSettings, ModelSettings, Settings, SourceSettings
from edge.daemon import publish
from edge.vision.build import build_detector, build_pipeline
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.detector.runtime import installed_runtimes

ROUNDS = 3
BUSY_FRAMES, PARTS = 80, 2  # after the warm-up; counted in equal parts
MILLION = 1e6


class Instructions:
    """The emulator's counters, mapped: one for each thread, that of the main thread first."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._counters = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast(
                "Q"
            )

    def of_this_thread(self) -> int:
        return self._counters[0]

    def of_all(self) -> int:
        return sum(self._counters)


def report(name: str, values: list[float]) -> None:
    """Prints a line of the table: median in millions, and half the range of the repetitions."""
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / middle if middle else 0.0
    print(f"  {name:34}{middle / MILLION:10.3f} M   +-{spread / 2:.2%}", flush=True)


def invocations(instructions: Instructions) -> None:
    """Counts an invocation of the default model by each runtime, on one canvas."""
    canvas = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    for runtime in installed_runtimes():
        settings = msgspec.convert({"runtime": runtime, "threads": 1}, ModelSettings)
        detector = Detector(settings, find_model(settings.file))
        detector.detect(canvas)
        values = []
        for _ in range(ROUNDS):
            start = instructions.of_all()
            detector.detect(canvas)
            values.append(float(instructions.of_all() - start))
        report(f"an invocation, {runtime}", values)


def still(settings: Settings, instructions: Instructions) -> None:
    """Counts a scene without motion, MOG2, and the three calls of any differencing."""
    detector = CountingDetector(build_detector(settings))
    rows = rows_of(settings, detector)
    del rows["whole-frame"]
    names = {
        "floor": "still: resize, absdiff, threshold",
        "motion": "still: resize and motion",
        "pipeline": "still: resize and all stages",
        "MOG2": "still: resize and OpenCV's MOG2",
    }
    taken = interleaved(rows, drawn_frames("still"), ROUNDS, instructions.of_all)
    for name, values in taken.items():
        report(names[name], values)


def busy(settings: Settings, instructions: Instructions) -> None:
    """Counts real footage stage by stage, without decoding."""
    footage = preload(settings)
    clock = CpuClock(instructions.of_this_thread)
    detector = build_detector(settings)
    pipeline = build_pipeline(settings, detector, footage.info, clock)
    messages = FrameMessages(publish.classes_of(detector), footage.info.main_size)
    publisher = Publisher(settings.bus, settings.camera, "bench")
    publisher.start()
    parts = [clock.spent]
    looks = [0]
    for frame in footage.frames[: WARM_UP_FRAMES + BUSY_FRAMES]:
        if (frame.index - WARM_UP_FRAMES) % (BUSY_FRAMES // PARTS) == 0:
            parts.append(Counter())
            looks.append(0)
            clock.spent = parts[-1]
        with clock("pipeline"):
            analysis = pipeline(frame)
        looks[-1] += len(analysis.layouts)
        with clock("messages"):
            messages(publisher, analysis)
    publisher.stop()
    length = BUSY_FRAMES // PARTS
    print(f"  busy: invocations a frame {sum(looks[-PARTS:]) / BUSY_FRAMES:.2f}")
    for name in STAGES:
        report(f"busy: {name}", [part[name] / length for part in parts[-PARTS:]])
    report("busy: all but invocations", [
        sum(part[name] for name in STAGES) / length for part in parts[-PARTS:]
    ])  # fmt: skip
    report("busy: all", [sum(part.values()) / length for part in parts[-PARTS:]])


def main(counters: str, video: str = "") -> None:
    instructions = Instructions(Path(counters))
    invocations(instructions)
    if not video:
        return
    settings = Settings(
        source=SourceSettings(uri=video, fast=True),
        model=ModelSettings(threads=1),
        bus=BusSettings(endpoint=f"ipc://{counters}.ipc", control="none"),
    )
    still(settings, instructions)
    busy(settings, instructions)
    status = Path("/proc/self/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    print(f"  at most {peak_kb / 1000:.0f} MB resident, including the emulator and the footage")


if __name__ == "__main__":
    main(*sys.argv[1:])
