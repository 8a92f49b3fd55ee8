"""The daemon: the only place that starts threads, and where everything comes together.

    source thread ──► mailbox of one frame ──► analysis thread ──► publisher
          └──► recorder (pre-roll)                   └──► recorder (captures)

The main thread supervises: progress, health, the service manager's watchdog. A thread that ends
with an error or hangs ends the daemon, with a non-zero exit code; nothing lives on half dead.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.bus.control import ControlServer
from edge.bus.publisher import Publisher
from edge.capture.recorder import Recorder
from edge.capture.request import CaptureResult
from edge.config.schema import Settings
from edge.daemon import publish as outgoing
from edge.daemon.commands import EXTERNAL, Reload, Remote
from edge.daemon.governor import FrameGate, Governor
from edge.daemon.problems import Problems
from edge.daemon.progress import Progress, Rates
from edge.daemon.recovery import SourceMender
from edge.daemon.stalls import StallCheck, StalledError, Watched
from edge.errors import EdgeError
from edge.hooks.hooks import Hooks
from edge.messages import AnyMessage, Health, M
from edge.runtime import machine
from edge.runtime.machine import Readings, free_bytes, rss_bytes
from edge.runtime.mailbox import Mailbox
from edge.runtime.notify import ServiceManager
from edge.runtime.stage import Stage
from edge.runtime.times import NS_PER_MS, NS_PER_S
from edge.sources import open_source
from edge.sources.base import Source
from edge.vision.build import build_detector
from edge.vision.detector import Detector
from edge.vision.picture_check import ABOUT, PictureCheck, PictureState
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Detections, Frame, SourceInfo

SUPERVISE_S = 0.1
GOVERN_S = 2.0
STOP_STAGE_S = 2.0  # for a thread to end; what takes longer hangs
STOP_CAPTURES_S = 5.0
STOP_S = 15.0  # for everything: then the process ends without asking anybody
EXIT_HANGING = 70  # EX_SOFTWARE of sysexits.h

log = logging.getLogger(__name__)
Listener = Callable[[AnyMessage], None]


@dataclass(frozen=True, slots=True)
class _Received:
    """A frame with the time at which it became known here."""

    frame: Frame
    received_ns: int


class TimedDetector:
    """A detector that keeps the count and the time of its invocations, also of the present one."""

    def __init__(self, detector: Detector, progress: Progress) -> None:
        self._detector = detector
        self._progress = progress
        self.invocation = Stage()
        self.labels = detector.labels
        self.input_size = detector.input_size

    def detect(self, canvas: npt.NDArray[np.uint8], min_score: float | None = None) -> Detections:
        """As `Detector.detect`."""
        start_ns = time.monotonic_ns()
        with self.invocation.work():
            found = self._detector.detect(canvas, min_score)
        self._progress.invoked_ns += time.monotonic_ns() - start_ns
        self._progress.invocations += 1
        return found


class Daemon:
    """One camera, from start to stop. `listener` hears of every message as it is published."""

    def __init__(
        self, settings: Settings, listener: Listener | None = None, reload: Reload | None = None
    ) -> None:
        """Loads the model and checks what can be checked. Raises EdgeError.

        reload: what the command of that name does; it may `stop` this daemon.
        """
        self.settings = settings
        self._listener = listener
        self.problems = Problems()
        self.progress = Progress()
        detector = build_detector(settings)
        self._model = detector.name
        self._detector = TimedDetector(detector, self.progress)
        self._source: Source = open_source(
            settings.source,
            settings.health.stall_s,
            self.problems.note,
            self._resume,
            clip_height_px=settings.capture.clip_height_px * settings.captures_clips,
        )
        boot_id = secrets.token_hex(8)
        self._publisher = Publisher(settings.bus, settings.camera, boot_id)
        self._recorder = Recorder(
            settings.capture,
            on_capture=self._on_capture,
            on_error=self.problems.note,
            model=self._model,
            clips=settings.captures_clips,
        )
        self.remote = Remote(settings, boot_id, self._recorder.trigger, reload)
        self._control = ControlServer(settings.bus, self.remote)
        self._hooks = Hooks(
            settings,
            lambda: self.remote.capture(settings.hooks.input_captures, EXTERNAL),
            self.problems.note,
        )
        self._mailbox: Mailbox[_Received] = Mailbox()
        self._info: SourceInfo | None = None
        self._opened = threading.Event()
        self._stop = threading.Event()
        self._opening, self._analysis = Stage(), Stage()
        self._picture = PictureState.GOOD
        self._readings = Readings()
        self._governor, self._gate = Governor(settings.governor), FrameGate()
        self._govern_due_s = 0.0
        self._mend = SourceMender(
            self._source, stall_s=settings.health.stall_s, hang_s=settings.health.hang_s
        )
        self._stalls = StallCheck(
            self._watched(),
            self.problems,
            stall_s=settings.health.stall_s,
            hang_s=settings.health.hang_s,
        )
        self._errors: list[BaseException] = []
        self._looked: deque[Frame] = deque(
            maxlen=max((rule.of_last for rule in settings.triggers), default=1)
        )
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
            for name, run in (("source", self._read), ("analysis", self._analyse))
        ]

    def stop(self) -> None:
        """Ends `run` soon; callable from a signal handler or another thread."""
        self._stop.set()

    @property
    def dropped(self) -> dict[str, int]:
        """What was thrown away, by queue."""
        recorder = self._recorder.stats()
        return {
            "frames": self._mailbox.dropped,
            "frames_governed": self._gate.skipped,
            "messages": self._publisher.dropped,
            "clip_frames": recorder["frames_dropped"],
            "captures": recorder["triggers_dropped"],
            "commands": self._hooks.dropped,
        }

    def run(self, manager: ServiceManager) -> None:
        """Until the source ends or `stop` is called. Raises what ended it otherwise."""
        started_ns = time.monotonic_ns()
        rates = Rates()
        self._recorder.start()
        self._publisher.start()
        try:
            self._control.start()
            self._hooks.start()
            for thread in self._threads:
                thread.start()
            self._supervise(manager, rates, started_ns)
        finally:
            with _ending_within(STOP_S):
                self._control.stop()
                self._shut_down()
                self._publish_health("stopping", rates, started_ns)
                self._publisher.stop()
        if self._errors:
            raise self._errors[0]

    def _supervise(self, manager: ServiceManager, rates: Rates, started_ns: int) -> None:
        interval_ns = round(self.settings.health.interval_s * NS_PER_S)
        due_ns, ready = started_ns, False
        while not self._stop.wait(SUPERVISE_S) and not self._errors and not self._is_over():
            if not ready and self.progress.frames:
                ready = True
                manager.ready(f"watching {self.settings.source.uri}")
            self._check_progress()
            self._govern(time.monotonic())
            if not self._stalls.stalled:
                manager.feed(self.progress.frames)
            if time.monotonic_ns() >= due_ns:
                due_ns = time.monotonic_ns() + interval_ns
                self._publish_health("running" if ready else "starting", rates, started_ns)
                stalled = " and ".join(self._stalls.stalled)
                manager.status(
                    f"stalled: {stalled}"
                    if stalled
                    else f"{rates.fps:.1f} fps, {rates.invocations_per_s:.1f} invocations/s, "
                    f"{self.progress.triggers} triggers"
                )

    def _watched(self) -> list[Watched]:
        return [
            Watched("opening", self._opening.busy_s, "opening the source has lasted"),
            Watched("source", self._quiet_s, "no frame has come", fatal=False),
            Watched("inference", self._detector.invocation.busy_s, "an invocation has lasted"),
            Watched("analysis", self._analysis.busy_s, "the analysis of a frame has lasted"),
            Watched("writer", self._recorder.busy_s, "writing captures has not gone on"),
            Watched("publisher", self._publisher.behind_s, "no message was published"),
        ]

    def _quiet_s(self) -> float:
        """Since the last frame of a source that should give them by itself."""
        if self._info is None or not self._info.live:
            return 0.0
        return (time.monotonic_ns() - self.progress.received_ns) / NS_PER_S

    def _check_progress(self) -> None:
        """Whatever died or hangs ends the daemon, so that it is started anew."""
        for served in (self._publisher, self._control, self._recorder):
            if served.error is not None:
                self._errors.append(served.error)
        if self._picture is PictureState.GOOD:
            self.problems.mended("picture")
        else:
            self.problems.note(ABOUT[self._picture], "picture")
        try:
            self._stalls()
            self._mend(self._picture)
        except StalledError as error:
            self._errors.append(error)

    def _govern(self, now_s: float) -> None:
        if now_s < self._govern_due_s:
            return
        self._govern_due_s = now_s + GOVERN_S
        self._readings = machine.read()
        if self._info is None or not self._info.live:
            return  # a recording is analysed the same at any temperature
        level = self._governor(self._readings, now_s)
        self._gate.share = level.frame_rate
        if self._governor.number:
            sentence = f"less work, level {self._governor.number}: {self._readings}"
            self.problems.note(sentence, "governor")
        else:
            self.problems.mended("governor")

    def _is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _shut_down(self) -> None:
        """In the order of the flow, so that what is under way is finished."""
        self._stop.set()
        self._source.close()
        self._mailbox.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(STOP_STAGE_S)
        self._hooks.stop()
        try:
            self._recorder.stop(STOP_CAPTURES_S)
        except EdgeError as error:
            self.problems.note(str(error))

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            if not isinstance(error, EdgeError):
                log.debug("thread ended", exc_info=True)
            self._errors.append(error)
        finally:
            self._mailbox.close()
            self._opened.set()

    def _read(self) -> None:
        """Source thread: gives every frame to the recorder and the newest to the analysis."""
        with self._opening.work():
            self._info = self._source.open()
        self.progress.received_ns = time.monotonic_ns()
        self._opened.set()
        wait = not self._info.live and self.settings.source.fast
        self._recorder.begin_stream(self._info)
        while not self._stop.is_set() and (frame := self._source.read()) is not None:
            received_ns = self.progress.received_ns = time.monotonic_ns()
            self.progress.received += 1
            passes = self._gate.passes()
            if passes or frame.packets:  # of encoded video each packet needs the one before
                self._recorder.offer(frame, wait=wait)
            if not passes:
                continue
            self._mailbox.put(_Received(frame, received_ns), wait=wait)

    def _resume(self, info: SourceInfo) -> None:
        """The source was lost and is back, perhaps with other parameters of its stream."""
        self._recorder.end_stream()
        self._recorder.begin_stream(info)

    def _analyse(self) -> None:
        """Analysis thread: a pipeline for the source's sizes, frame by frame."""
        self._opened.wait()
        if self._info is None:
            return
        first = self._mailbox.take()
        if first is None:
            return
        size = self._info.main_size
        height, width = first.frame.luma.shape
        pipeline = Pipeline(self.settings, self._detector, (height, width), size)
        changes = outgoing.TrackChanges()
        check = self._picture_check(self._info)
        received: _Received | None = first
        while received is not None:
            with self._analysis.work():
                self._picture = check(received.frame.luma, received.frame.timestamp_ns)
                if self.remote.paused:
                    self.remote.see(received.frame)
                    self._count(None)
                else:
                    pipeline.scheduler.share = self._governor.level.budget
                    analysis = pipeline(received.frame)
                    self._tell(analysis, received, changes, size)
                    sight = partial(outgoing.sight, analysis, pipeline, self._detector.labels, size)
                    self.remote.see(received.frame, sight)
                    self._count(analysis)
            received = self._mailbox.take()

    def _picture_check(self, info: SourceInfo) -> PictureCheck:
        """A recording may well show one picture for long; a camera has noise."""
        health = self.settings.health
        return PictureCheck(bad_s=health.picture_s, frozen_s=health.frozen_s * info.live)

    def _count(self, analysis: Analysis | None) -> None:
        """None: the frame was passed over in a pause."""
        self.progress.frames += 1
        if analysis is not None:
            self.progress.tracks = len(analysis.tracks)
            self.progress.blobs = len(analysis.motion.blobs_xyxy)
            self.progress.changed = analysis.motion.changed

    def _tell(
        self,
        analysis: Analysis,
        received: _Received,
        changes: outgoing.TrackChanges,
        size: tuple[int, int],
    ) -> None:
        frame = analysis.frame
        if analysis.layouts:
            self._looked.append(frame.detached())
            self._publish(outgoing.detection(analysis, self._detector.labels, size), frame)
        for message in changes(analysis, size):
            self._publish(message, frame)
        for event in analysis.triggers:
            self._trigger(event, frame, received, size)

    def _trigger(
        self, event: TriggerEvent, frame: Frame, received: _Received, size: tuple[int, int]
    ) -> None:
        """Publishes first: the capture can wait the few milliseconds, subscribers should not."""
        self.progress.triggers += 1
        event_id = secrets.token_hex(8)
        exposed_ns = received.received_ns if self.settings.source.fast else frame.timestamp_ns
        latency_ms = max(0, time.monotonic_ns() - exposed_ns) / NS_PER_MS
        best = self._looked_at(event.best.frame_index)
        jpeg = None
        if self.settings.bus.thumbnails:
            jpeg = outgoing.thumbnail(best, event.best.box_xyxy)
        told = self._publish(outgoing.trigger(event, event_id, size, latency_ms), frame, jpeg)
        self._hooks(event.rule, told)
        if event.rule.actions:
            camera = self.settings.camera
            self._recorder.trigger(
                outgoing.capture_request(event, event_id, camera, best, frame, latency_ms)
            )

    def _looked_at(self, frame_index: int) -> Frame:
        """A frame of the confirmation window; the newest should it have gone."""
        matching = (frame for frame in self._looked if frame.index == frame_index)
        return next(matching, self._looked[-1])

    def _publish(self, message: M, frame: Frame, jpeg: bytes | None = None) -> M:
        """Returns it with its header."""
        told = self._publisher.publish(message, frame.timestamp_ns, frame.wall_ns, jpeg)
        if self._listener is not None:
            self._listener(message)
        return told

    def _on_capture(self, result: CaptureResult) -> None:
        """Called by the recorder's thread for each file that is whole on disk."""
        self.progress.captures += 1
        message = outgoing.capture(result)
        self._publisher.publish(message, time.monotonic_ns(), time.time_ns())
        if self._listener is not None:
            self._listener(message)

    def _publish_health(self, state: str, rates: Rates, started_ns: int) -> None:
        rates.read(self.progress)
        problems = self.problems.current()
        message = Health(
            state="degraded" if state == "running" and problems else state,  # type: ignore[arg-type]
            source=self._info.name if self._info else self.settings.source.uri,
            model=self._model,
            uptime_s=round((time.monotonic_ns() - started_ns) / NS_PER_S, 1),
            fps=round(rates.fps, 2),
            frames=self.progress.frames,
            invocations=self.progress.invocations,
            invocations_per_s=round(rates.invocations_per_s, 2),
            inference_ms=round(self.progress.inference_ms, 2),
            tracks=self.progress.tracks,
            triggers=self.progress.triggers,
            captures=self.progress.captures,
            dropped=self.dropped,
            rss_bytes=rss_bytes(),
            temperature_c=self._readings.temperature_c,
            disk_free_bytes=free_bytes(Path(self.settings.capture.directory)),
            problems=problems,
            paused=self.remote.paused,
            stalled=self._stalls.stalled,
            picture=self._picture.value,
            source_restarts=self._mend.restarts,
            governor_level=self._governor.number,
            budget_share=self._governor.level.budget,
            frame_rate_share=self._governor.level.frame_rate,
            power=self._readings.flags,
        )
        self.remote.health = message
        self._publisher.publish(message, time.monotonic_ns(), time.time_ns())
        if self._listener is not None:
            self._listener(message)


@contextmanager
def _ending_within(limit_s: float) -> Iterator[None]:
    """What hangs may also hang the shutdown: then the process ends as it is, files and all.

    They are under temporary names until they are whole, and the next start removes them.
    """
    last_resort = threading.Timer(limit_s, os._exit, (EXIT_HANGING,))
    last_resort.daemon = True
    last_resort.start()
    try:
        yield
    finally:
        last_resort.cancel()
