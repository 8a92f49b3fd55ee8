"""Time from an object's first exposed pixel to the trigger at a subscriber, at real pace.

A daemon in another process watches the scene `synthetic:visits`, in which a drawn person appears
every few seconds. The scene is a function of time, so the frame of a trigger determines when its
object was first exposed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from edge.client import Event, Subscriber
from edge.config.explain import to_toml
from edge.config.schema import Settings, TriggerRule
from edge.errors import PermanentError
from edge.messages import Health, Trigger
from edge.runtime.times import NS_PER_MS
from edge.sources.scenes.synthetic import QUIET_S, VISITS_EVERY_S
from edge.vision.build import build_detector
from edge.vision.regions import GREY

FPS = 25
START_S = 30.0  # longest time that a daemon may take to start
WARM_UP, ALONE = 5, 100  # invocations by themselves: first not measured, then measured
Progress = Callable[[int, int], None]


class Spread(msgspec.Struct, frozen=True):
    """Percentiles over all triggers."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    @staticmethod
    def of(values_ms: list[float]) -> Spread:
        return Spread(*(round(float(v), 2) for v in np.percentile(values_ms, [50, 95, 99])))


class LatencyReport(msgspec.Struct, frozen=True):
    """Latency of triggers and its parts.

    first_pixel: from the object's first exposure to receipt; the sum of looks and exposure. looks:
    to the exposure of the frame that confirmed the object. exposure: from there to receipt; the sum
    of analysis (to publication) and transport. invocation_ms: mean time of an invocation in the
    daemon. alone: invocations in a process that does nothing else, at the pace of the frames: what
    this machine and its other programs add to any invocation.
    """

    triggers: int
    visits: int
    fps: int
    invocation_ms: float
    first_pixel: Spread
    looks: Spread
    exposure: Spread
    analysis: Spread
    transport: Spread
    alone: Spread


def latency(settings: Settings, visits: int, progress: Progress) -> LatencyReport:
    """Runs a daemon for a number of visits. Raises EdgeError."""
    rows: list[tuple[float, float, float]] = []
    invocation_ms = 0.0
    with _daemon(settings, visits) as endpoint:
        subscriber = Subscriber(endpoint, topics=["trigger.", "health."])
        deadline_s = time.monotonic() + START_S + QUIET_S + visits * VISITS_EVERY_S
        for event in _until(subscriber, deadline_s):
            match event.message:
                case Trigger() as trigger:
                    rows.append(_row(trigger, time.monotonic_ns()))
                    progress(len(rows), visits)
                case Health(state="stopping"):
                    break
                case Health() as health:
                    invocation_ms = health.inference_ms or invocation_ms
    if not rows:
        raise PermanentError("no trigger was received: run `edge doctor`")
    table = np.array(rows)
    looks, exposure, analysis = (table[:, column].tolist() for column in range(3))
    return LatencyReport(
        triggers=len(rows),
        visits=visits,
        fps=FPS,
        invocation_ms=round(invocation_ms, 2),
        first_pixel=Spread.of((table[:, 0] + table[:, 1]).tolist()),
        looks=Spread.of(looks),
        exposure=Spread.of(exposure),
        analysis=Spread.of(analysis),
        transport=Spread.of((table[:, 1] - table[:, 2]).tolist()),
        alone=Spread.of(_alone_ms(settings)),
    )


def _alone_ms(settings: Settings) -> list[float]:
    detector = build_detector(settings)
    width, height = detector.input_size
    canvas = np.full((height, width, 3), GREY, np.uint8)
    taken_ms = []
    for number in range(WARM_UP + ALONE):
        time.sleep(1 / FPS)
        start_ns = time.monotonic_ns()
        detector.detect(canvas)
        if number >= WARM_UP:
            taken_ms.append((time.monotonic_ns() - start_ns) / NS_PER_MS)
    return taken_ms


def _row(trigger: Trigger, received_ns: int) -> tuple[float, float, float]:
    """Milliseconds: first to confirming exposure, from there to receipt, and to publication."""
    assert trigger.header is not None
    scene_s = trigger.frame_index / FPS - QUIET_S
    appeared_s = np.ceil(scene_s // VISITS_EVERY_S * VISITS_EVERY_S * FPS) / FPS
    exposure_ms = (received_ns - trigger.header.timestamp_ns) / NS_PER_MS
    return (scene_s - float(appeared_s)) * 1e3, exposure_ms, trigger.latency_ms


def _until(subscriber: Subscriber, deadline_s: float) -> Iterator[Event]:
    with subscriber:
        while (left_s := deadline_s - time.monotonic()) > 0:
            event = subscriber.receive(timeout_s=left_s)
            if event is None:
                return
            yield event


@contextmanager
def _daemon(settings: Settings, visits: int) -> Iterator[str]:
    """A daemon in another process; yields its endpoint."""
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        endpoint = f"ipc://{folder}/bus"
        duration_s = QUIET_S + visits * VISITS_EVERY_S
        replace = msgspec.structs.replace
        visits_settings = replace(
            settings,
            source=replace(
                settings.source,
                uri=f"synthetic:visits?fps={FPS}&duration={duration_s}",
                fast=False,
                loop=False,
            ),
            bus=replace(settings.bus, endpoint=endpoint, control="none"),
            capture=replace(settings.capture, directory=f"{folder}/captures"),
            triggers=(TriggerRule("visit", labels=("person",), cooldown_s=0.0),),
        )
        config = Path(folder, "edge.toml")
        config.write_text(to_toml(visits_settings), "utf-8")
        command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603
            try:
                yield endpoint
            finally:
                process.terminate()
