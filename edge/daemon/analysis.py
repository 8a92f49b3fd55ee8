"""The analysis thread: runs the pipeline on frames, and reports its results."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial

from edge.capture.recorder import Recorder
from edge.config.schema import Settings
from edge.daemon import publish
from edge.daemon.acquisition import Acquisition, Received
from edge.daemon.blur import BlurredBoxes
from edge.daemon.commands import Remote
from edge.daemon.outlet import Outlet
from edge.daemon.pictures import Size, thumbnail
from edge.daemon.progress import Progress
from edge.daemon.sight import sight
from edge.daemon.tallies import Tallies
from edge.daemon.visits import Visits
from edge.hooks.hooks import Hooks
from edge.messages import Sight
from edge.runtime.service_thread import ServiceThread
from edge.runtime.times import NS_PER_MS
from edge.vision.picture_check import PictureCheck, PictureState
from edge.vision.pipeline import Analysis, Pipeline
from edge.vision.places import Places
from edge.vision.sizes import SizeWatch
from edge.vision.triggers import TriggerEvent
from edge.vision.types import SourceInfo


class Reporter:
    """Turns the analysis of each frame into messages, hook calls and capture requests."""

    def __init__(
        self,
        settings: Settings,
        classes: publish.Classes,
        outlet: Outlet,
        hooks: Hooks,
        recorder: Recorder,
        progress: Progress,
        places: Places,
        tallies: Tallies,
        blurred: BlurredBoxes,
    ) -> None:
        self._settings = settings
        self._classes = classes
        self._tallies = tallies
        self._blurred = blurred
        self._outlet = outlet
        self._hooks = hooks
        self._recorder = recorder
        self._progress = progress
        self._places = places
        self._changes = publish.TrackChanges()
        self._visits = Visits(recorder, settings.capture.max_clip_s)

    def __call__(self, analysis: Analysis, received_ns: int, size: Size) -> None:
        """Reports one frame.

        received_ns: when the daemon received it. size: (width, height) of the main picture.
        """
        self._blurred.add(analysis)
        if analysis.layouts:
            message = publish.detection(analysis, self._classes, size)
            self._outlet.about_frame(message, analysis.frame)
        for change in self._changes(analysis, size):
            self._outlet.about_frame(change, analysis.frame)
        for event in analysis.events:
            self._report_event(event, analysis, received_ns, size)
        self._visits(analysis)
        self._tallies(analysis, size)
        self._places(analysis.events, analysis.ended, analysis.frame.wall_ns, size)
        self._progress.muted = analysis.muted
        self._progress.tracks = len(analysis.tracks)
        self._progress.blobs = len(analysis.motion.blobs_xyxy)
        self._progress.changed = analysis.motion.changed

    def apply(self, settings: Settings) -> None:
        """Counts at other lines and zones from the next frame on."""
        self._tallies.apply(settings)

    def end(self) -> None:
        """Reports what is still open after the last frame."""
        self._visits.end()
        self._tallies.end()

    def count_frame(self) -> None:
        """Counts a frame that was analysed, or skipped during a pause."""
        self._progress.frames += 1

    def sight(self, analysis: Analysis, size: Size) -> Callable[[], Sight]:
        """Returns a function that makes the live view's message about this frame."""
        return partial(sight, analysis, self._classes, size)

    def _report_event(
        self, event: TriggerEvent, analysis: Analysis, received_ns: int, size: Size
    ) -> None:
        """Publishes first: a capture can wait a few milliseconds, subscribers should not."""
        self._progress.triggers += 1
        frame = analysis.frame
        event_id = secrets.token_hex(8)
        exposed_ns = received_ns if self._settings.source.fast else frame.timestamp_ns
        latency_ms = max(0, time.monotonic_ns() - exposed_ns) / NS_PER_MS
        jpeg = None
        if self._settings.bus.thumbnails:
            hidden = self._blurred(event.frame.timestamp_ns)
            jpeg = thumbnail(event.frame, event.best.box_xyxy, hidden)
        message = publish.trigger(event, event_id, size, latency_ms)
        self._hooks(event.rule, self._outlet.about_frame(message, frame, jpeg))
        self._tallies.trigger(event, frame)
        if event.rule.actions:
            camera = self._settings.camera
            request = publish.capture_request(event, event_id, camera, frame, latency_ms)
            if self._recorder.trigger(request):
                self._visits.begin(event, request)


class AnalysisThread:
    """Analyses the newest frame in the mailbox, repeatedly, until the mailbox is closed.

    thread: the analysis thread. picture: the state of the camera's picture; this thread owns it.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        build: Callable[[SourceInfo], Pipeline],
        reporter: Reporter,
        remote: Remote,
        *,
        picture_s: float,
        frozen_s: float,
        budget_share: Callable[[], float],
    ) -> None:
        """build: makes the pipeline for the open source; it follows changes of the size itself.

        picture_s, frozen_s: `bad_s` and `frozen_s` of `PictureCheck`. A recording is not checked
            for frozen pictures: it may repeat a picture, while a camera's pictures differ by noise.
        budget_share: returns the share of the budget to use, which the governor sets.
        """
        self._acquisition = acquisition
        self._mailbox = acquisition.mailbox
        self._build = build
        self._reporter = reporter
        self._remote = remote
        self._picture_s, self._frozen_s = picture_s, frozen_s
        self._budget_share = budget_share
        self._newest: Settings | None = None
        self.picture = PictureState.GOOD
        self.thread = ServiceThread("analysis", self._run, self._mailbox.close)

    def apply(self, settings: Settings) -> None:
        """Uses new settings in the pipeline from the next frame on; any thread may call it."""
        self._newest = settings

    def _take_up(self, pipeline: Pipeline) -> None:
        """Gives the pipeline the newest settings, if it has others."""
        newest = self._newest  # read once: another thread may replace it
        if newest is not None and newest is not pipeline.settings:
            pipeline.apply(newest)
            self._reporter.apply(newest)

    def _run(self) -> None:
        try:
            info = self._acquisition.wait_open()
            if info is None:
                return
            pipeline = self._build(info)
            check, sizes = self._picture_check(info), SizeWatch.of(info)
            while (received := self._mailbox.take()) is not None:
                with self.thread.work():
                    self._take_up(pipeline)
                    frame = received.frame
                    if sizes.changed(frame):
                        check = self._picture_check(info)  # sharpness depends on the size
                    self.picture = check(frame.luma, frame.timestamp_ns)
                    self._analyse(received, pipeline, sizes.main_size)
            self._reporter.end()
        finally:
            self._mailbox.close()

    def _picture_check(self, info: SourceInfo) -> PictureCheck:
        return PictureCheck(bad_s=self._picture_s, frozen_s=self._frozen_s if info.live else 0.0)

    def _analyse(self, received: Received, pipeline: Pipeline, size: Size) -> None:
        if self._remote.paused:
            self._remote.show(received.frame)
        else:
            analysis = pipeline(received.frame, self._budget_share())
            if analysis.events:  # before it is published: who receives it may ask for its picture
                self._remote.last_event = analysis.events[-1]
            self._reporter(analysis, received.received_ns, size)
            self._remote.show(received.frame, self._reporter.sight(analysis, size))
        self._reporter.count_frame()
