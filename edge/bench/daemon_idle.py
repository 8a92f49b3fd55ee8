"""CPU time of a whole daemon, source to recorder, on a still scene, with and without clips."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

import msgspec

from edge.capture.video.cutter import TRIGGER_DELAY_S
from edge.config.schema import Settings, TriggerRule
from edge.daemon.assemble import assemble
from edge.runtime.machine import rss_bytes
from edge.runtime.notify import ServiceManager
from edge.runtime.times import NS_PER_MS, NS_PER_S
from edge.sources.pace import Pace
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.sources.views import luma_of, luma_size
from edge.vision.types import Frame, SourceInfo

FPS, SIZE = 15, (1280, 720)  # the defaults of a Pi camera
DRAWN_FRAMES = 16  # repeated, so that drawing is not measured: twice the noise tiles of the scene
CAMERA = "camera's buffers"
Progress = Callable[[int, int, str], object]


class DaemonRow(msgspec.Struct, frozen=True):
    """cpu_ms: CPU time of a second of video. rss_bytes: resident memory at the end, the largest."""

    name: str
    cpu_ms: float
    rss_bytes: int


class DaemonIdleReport(msgspec.Struct, frozen=True):
    """Rows: without clips; with clips; the same from a camera's buffers; encoding all the time.

    In memory of the decoder, pictures are kept as they came; from a camera's buffers, as copies.
    """

    scene: str
    fps: int
    width: int
    height: int
    rows: tuple[DaemonRow, ...]

    @property
    def clips_ratio(self) -> float:
        """CPU time with clips over that without."""
        return self.rows[1].cpu_ms / self.rows[0].cpu_ms


class RepeatedScene:
    """A live source that repeats drawn pictures at their pace, and reads the process's CPU time.

    luma_width_px: of `Frame.luma`. seconds: of video that count, after `warm_up_s`. leased: the
    frames are marked as being in a camera's buffers.
    """

    def __init__(
        self,
        luma_width_px: int,
        seconds: float,
        warm_up_s: float,
        on_frame: Callable[[], object],
        *,
        leased: bool,
    ) -> None:
        scene = SyntheticScene("noise", SceneOptions(fps=FPS, width=SIZE[0], height=SIZE[1]))
        self._pictures = [scene.render(index) for index in range(DRAWN_FRAMES)]
        self._luma_width_px = luma_width_px
        self._first = round(warm_up_s * FPS)
        self._end = self._first + max(1, round(seconds * FPS))
        self._on_frame = on_frame
        self._lease = object() if leased else None
        self._pace = Pace(fast=False)
        self._index = self._started_ns = 0
        self.cpu_ms = 0.0  # of a second, once the last frame was read

    def open(self) -> SourceInfo:
        self._pace.start()
        return SourceInfo("still", SIZE, luma_size(*SIZE, self._luma_width_px), FPS, live=True)

    def read(self) -> Frame | None:
        index, self._index = self._index, self._index + 1
        at_ns, wall_ns = self._pace.wait(index * NS_PER_S // FPS)
        if index == self._first:
            self._started_ns = time.process_time_ns()
        if index == self._end:
            spent_ms = (time.process_time_ns() - self._started_ns) / NS_PER_MS
            self.cpu_ms = spent_ms * FPS / (self._end - self._first)
        if index >= self._end or self._pace.stopped:
            return None
        self._on_frame()
        picture = self._pictures[index % DRAWN_FRAMES].copy()  # as a decoder writes each picture
        luma = luma_of(picture, self._luma_width_px)
        return Frame(index, at_ns, wall_ns, luma, picture, lease=self._lease)

    def close(self) -> None:
        self._pace.stop()


def daemon_idle(
    settings: Settings,
    seconds: float,
    rounds: int,
    progress: Progress,
    warm_up_s: float | None = None,
) -> DaemonIdleReport:
    """Medians of all rounds; the rows take turns. Raises EdgeError.

    warm_up_s: before the seconds that count; by default until the pre-roll is complete.
    """
    if warm_up_s is None:
        warm_up_s = settings.capture.pre_roll_s + TRIGGER_DELAY_S + 1
    rows = _rows(settings)
    cpu_ms: dict[str, list[float]] = {name: [] for name in rows}
    memory = dict.fromkeys(rows, 0)
    total = round(rounds * len(rows) * (warm_up_s + seconds) * FPS)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(done, total, name)

    for _ in range(rounds):
        for name, row in rows.items():
            source = RepeatedScene(
                row.source.luma_width_px, seconds, warm_up_s, count, leased=name == CAMERA
            )
            memory[name] = max(memory[name], _run(row, source))
            cpu_ms[name].append(source.cpu_ms)
    return DaemonIdleReport(
        "noise", FPS, *SIZE,
        rows=tuple(
            DaemonRow(name, round(statistics.median(cpu_ms[name]), 1), memory[name])
            for name in rows
        ),
    )  # fmt: skip


def _rows(settings: Settings) -> dict[str, Settings]:
    return {
        "without clips": _with_rule(settings, TriggerRule("still", actions=("still",))),
        "with clips": _with_rule(settings, TriggerRule("clip", actions=("clip",))),
        CAMERA: _with_rule(settings, TriggerRule("clip", actions=("clip",))),
        "encoding always": msgspec.structs.replace(
            _with_rule(settings, TriggerRule("clip", actions=("clip",))),
            capture=msgspec.structs.replace(settings.capture, pre_roll_bytes=1),
        ),
    }


def _with_rule(settings: Settings, rule: TriggerRule) -> Settings:
    return msgspec.structs.replace(settings, triggers=(rule,))


def _run(settings: Settings, source: RepeatedScene) -> int:
    """Runs a daemon until the source ends; returns its resident memory."""
    replace = msgspec.structs.replace
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        settings = replace(
            settings,
            bus=replace(settings.bus, endpoint=f"ipc://{folder}/bus", control="none"),
            capture=replace(settings.capture, directory=f"{folder}/captures"),
        )
        memory = 0

        def measure(_: object) -> None:
            nonlocal memory
            memory = max(memory, rss_bytes())

        assemble(settings, measure, source=source).run(ServiceManager())
        return memory
