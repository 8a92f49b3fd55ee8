"""CPU time of a frame by stage, and the growth of the process's memory."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import msgspec

from edge.bench.clock import CpuClock
from edge.bus.publisher import Publisher
from edge.config.schema import Settings
from edge.daemon import publish
from edge.errors import PermanentError
from edge.runtime.machine import rss_bytes
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.build import build_detector, build_pipeline
from edge.vision.pipeline import Analysis
from edge.vision.types import Frame, SourceInfo

PRELOADED_FRAMES = 400  # held in memory, so that decoding is not measured
WARM_UP_FRAMES = 20  # not measured: caches fill, and the background is learnt
STAGES = ("motion", "flow", "scheduler", "crops", "tracker", "triggers", "pipeline", "messages")
Progress = Callable[[int, int], None]


class StagesReport(msgspec.Struct, frozen=True):
    """CPU time of the analysis.

    stage_us: per frame, by stage. bus_thread_us: of the publisher's thread, per frame. overhead:
    everything but invocations, per frame, relative to one invocation.
    """

    source: str
    model: str
    frames: int
    invocations_per_frame: float
    invocation_us: float
    stage_us: dict[str, float]
    bus_thread_us: float
    overhead: float
    peak_rss_bytes: int


class MemoryReport(msgspec.Struct, frozen=True):
    """Resident memory after a tenth of the frames and after all of them."""

    frames: int
    early_bytes: int
    late_bytes: int

    @property
    def growth_bytes(self) -> int:
        return self.late_bytes - self.early_bytes


@dataclass(frozen=True, slots=True)
class Footage:
    """The first frames of a source, in memory."""

    info: SourceInfo
    frames: list[Frame]


def stages(settings: Settings) -> StagesReport:
    """Measures the beginning of `settings.source`, played from memory. Raises EdgeError."""
    footage = preload(settings)
    clock = CpuClock()
    detector = build_detector(settings)
    pipeline = build_pipeline(settings, detector, footage.info, clock)
    messages = FrameMessages(publish.classes_of(detector), footage.info.main_size)
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        bus = msgspec.structs.replace(settings.bus, endpoint=f"ipc://{folder}/bus", control="none")
        publisher = Publisher(bus, settings.camera, "bench")
        publisher.start()
        invocations = 0
        for frame in footage.frames:
            if frame.index == WARM_UP_FRAMES:
                clock.spent.clear()
                invocations, thread_s, process_s = 0, time.thread_time(), time.process_time()
            with clock("pipeline"):
                analysis = pipeline(frame)
            invocations += len(analysis.layouts)
            with clock("messages"):
                messages(publisher, analysis)
        others_s = (time.process_time() - process_s) - (time.thread_time() - thread_s)
        publisher.stop()
    return _report(settings, detector.name, clock, len(footage.frames), invocations, others_s)


def _report(
    settings: Settings, model: str, clock: CpuClock, played: int, invocations: int, others_s: float
) -> StagesReport:
    """others_s: CPU time of the other threads."""
    count = played - WARM_UP_FRAMES
    invocation_us = clock.spent["detector"] / 1e3 / max(1, invocations)
    stage_us = {name: round(clock.spent[name] / 1e3 / count, 1) for name in STAGES}
    bus_thread_us = others_s / count * 1e6
    return StagesReport(
        source=settings.source.name,
        model=model,
        frames=count,
        invocations_per_frame=round(invocations / count, 3),
        invocation_us=round(invocation_us, 1),
        stage_us=stage_us,
        bus_thread_us=round(bus_thread_us, 1),
        overhead=round((sum(stage_us.values()) + bus_thread_us) / invocation_us, 4),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def memory(settings: Settings, frames: int, progress: Progress) -> MemoryReport:
    """Plays the beginning of `settings.source` repeatedly. Raises EdgeError."""
    footage = preload(settings)
    pipeline = build_pipeline(settings, build_detector(settings), footage.info)
    changes = publish.TrackChanges()
    first, second = footage.frames[:2]
    spacing_ns = second.timestamp_ns - first.timestamp_ns
    early_bytes = 0
    for index, frame in enumerate(islice(cycle(footage.frames), frames)):
        timestamp_ns = NS_PER_S + index * spacing_ns
        analysis = pipeline(Frame(index, timestamp_ns, timestamp_ns, frame.luma, frame.main))
        list(changes(analysis, footage.info.main_size))
        if index == frames // 10:
            early_bytes = rss_bytes()
        if index % 100 == 0:
            progress(index, frames)
    return MemoryReport(frames, early_bytes, rss_bytes())


def preload(settings: Settings) -> Footage:
    """The first frames of a source. Raises PermanentError if there are too few to measure."""
    fast = msgspec.structs.replace(settings.source, fast=True)
    source = open_source(fast, masks=settings.privacy.masks, recording=True)
    info = source.open()
    frames: list[Frame] = []
    try:
        while len(frames) < PRELOADED_FRAMES and (frame := source.read()) is not None:
            frames.append(frame.detached())
    finally:
        source.close()
    if len(frames) < 2 * WARM_UP_FRAMES:
        raise PermanentError(
            f"source {fast.name}: it has {len(frames)} frames, "
            f"at least {2 * WARM_UP_FRAMES} are needed"
        )
    return Footage(info, frames)


class FrameMessages:
    """Publishes the messages of each frame as the daemon does."""

    def __init__(self, classes: publish.Classes, main_size: tuple[int, int]) -> None:
        self._classes = classes
        self._main_size = main_size
        self._changes = publish.TrackChanges()

    def __call__(self, publisher: Publisher, analysis: Analysis) -> None:
        frame = analysis.frame
        if analysis.layouts:
            message = publish.detection(analysis, self._classes, self._main_size)
            publisher.publish(message, frame.timestamp_ns, frame.wall_ns)
        for change in self._changes(analysis, self._main_size):
            publisher.publish(change, frame.timestamp_ns, frame.wall_ns)


def default_source(uri: str | None) -> str:
    """The given source; by default, a busy scene of people that the default model detects."""
    return uri or "synthetic:people?duration=60&fps=10&objects=6"
