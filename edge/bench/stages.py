"""Where the CPU time of a frame goes, stage by stage, and what the process grows by."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice

import msgspec

from edge.bench.clock import StageClock
from edge.bus.publisher import Publisher
from edge.config.schema import Settings
from edge.daemon import publish as outgoing
from edge.errors import PermanentError
from edge.runtime.machine import rss_bytes
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.types import Frame

PRELOADED_FRAMES = 400  # decoding is not what is measured
WARM_UP_FRAMES = 20
STAGES = ("motion", "flow", "scheduler", "crops", "tracker", "triggers", "pipeline", "messages")
Progress = Callable[[int, int], None]


class StagesReport(msgspec.Struct, frozen=True):
    """CPU time of one thread by stage.

    stage_us: a frame. overhead: all that isn't an invocation, a frame, over one invocation.
    bus_thread_us: of the publisher's own thread, a frame.
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


def stages(settings: Settings) -> StagesReport:
    """Plays the beginning of `settings.source` from memory. Raises EdgeError."""
    frames = preload(settings)
    clock = StageClock()
    detector = Detector(settings.model, find_model(settings.model.file))
    pipeline = timed_pipeline(settings, clock.timed("detector", detector), frames[0], clock)
    changes, size = outgoing.TrackChanges(), (frames[0].main.width, frames[0].main.height)
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        bus = msgspec.structs.replace(settings.bus, endpoint=f"ipc://{folder}/bus", control="none")
        publisher = Publisher(bus, settings.camera, "bench")
        publisher.start()
        invocations = 0
        for frame in frames:
            if frame.index == WARM_UP_FRAMES:
                clock.spent.clear()
                invocations, thread_s, process_s = 0, time.thread_time(), time.process_time()
            analysis = clock.time("pipeline", pipeline, frame)
            invocations += len(analysis.layouts)
            clock.time("messages", tell, publisher, analysis, changes, detector.labels, size)
        others_s = (time.process_time() - process_s) - (time.thread_time() - thread_s)
        publisher.stop()
    count = len(frames) - WARM_UP_FRAMES
    invocation_us = clock.spent["detector"] / 1e3 / max(1, invocations)
    stage_us = {name: round(clock.spent[name] / 1e3 / count, 1) for name in STAGES}
    return StagesReport(
        source=settings.source.uri,
        model=detector.name,
        frames=count,
        invocations_per_frame=round(invocations / count, 3),
        invocation_us=round(invocation_us, 1),
        stage_us=stage_us,
        bus_thread_us=round(others_s / count * 1e6, 1),
        overhead=round((sum(stage_us.values()) + others_s / count * 1e6) / invocation_us, 4),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def memory(settings: Settings, frames: int, progress: Progress) -> MemoryReport:
    """Plays the beginning of `settings.source` again and again. Raises EdgeError."""
    preloaded = preload(settings)
    detector = Detector(settings.model, find_model(settings.model.file))
    clock = StageClock()
    pipeline = timed_pipeline(settings, detector, preloaded[0], clock)
    changes, size = outgoing.TrackChanges(), (preloaded[0].main.width, preloaded[0].main.height)
    spacing_ns = preloaded[1].timestamp_ns - preloaded[0].timestamp_ns
    early_bytes = 0
    for index, frame in enumerate(islice(cycle(preloaded), frames)):
        timestamp_ns = NS_PER_S + index * spacing_ns
        analysis = pipeline(Frame(index, timestamp_ns, timestamp_ns, frame.luma, frame.main))
        list(changes(analysis, size))
        if index == frames // 10:
            early_bytes = rss_bytes()
        if index % 100 == 0:
            progress(index, frames)
    return MemoryReport(frames, early_bytes, rss_bytes())


def preload(settings: Settings) -> list[Frame]:
    """The first frames of a source. Raises PermanentError if there are too few to measure by."""
    fast = msgspec.structs.replace(settings.source, fast=True)
    source = open_source(fast, recording=True)
    source.open()
    frames: list[Frame] = []
    try:
        while len(frames) < PRELOADED_FRAMES and (frame := source.read()) is not None:
            frames.append(frame.detached())
    finally:
        source.close()
    if len(frames) < 2 * WARM_UP_FRAMES:
        raise PermanentError(
            f"source {fast.uri}: {len(frames)} frames, at least {2 * WARM_UP_FRAMES} are needed"
        )
    return frames


def timed_pipeline(
    settings: Settings, detector: Detector, first: Frame, clock: StageClock
) -> Pipeline:
    """A pipeline whose stages are on a clock's account."""
    height, width = first.luma.shape
    size = (first.main.width, first.main.height)
    pipeline = Pipeline(settings, detector, (height, width), size)
    parts = {"packer": "crops"}
    for part in ("motion", "flow", "scheduler", "packer", "tracker", "triggers"):
        setattr(pipeline, part, clock.timed(parts.get(part, part), getattr(pipeline, part)))
    return pipeline


def tell(
    publisher: Publisher,
    analysis: Analysis,
    changes: outgoing.TrackChanges,
    labels: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    """What the daemon publishes of a frame."""
    frame = analysis.frame
    if analysis.layouts:
        message = outgoing.detection(analysis, labels, size)
        publisher.publish(message, frame.timestamp_ns, frame.wall_ns)
    for change in changes(analysis, size):
        publisher.publish(change, frame.timestamp_ns, frame.wall_ns)


def default_source(uri: str | None) -> str:
    """Busy footage where nothing is named: drawn people that the default model finds."""
    return uri or "synthetic:people?duration=60&fps=10&objects=6"
