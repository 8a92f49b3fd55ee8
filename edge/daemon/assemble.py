"""Wires one daemon: the only place that makes threads, sockets and files and connects them."""

from __future__ import annotations

import secrets
from functools import partial

from edge.bus.control import ControlServer
from edge.bus.publisher import Publisher
from edge.capture.metadata.origin import Origin
from edge.capture.recorder import Recorder
from edge.capture.timelapse import TimelapseRequests
from edge.config.schema import Settings
from edge.daemon import publish
from edge.daemon.acquisition import Acquisition
from edge.daemon.analysis import AnalysisThread, Reporter
from edge.daemon.blur import BlurredBoxes
from edge.daemon.commands import EXTERNAL_RULE, Reload, Remote
from edge.daemon.daemon import Daemon
from edge.daemon.governor import Governor
from edge.daemon.live import LiveSettings
from edge.daemon.outlet import Listener, Outlet
from edge.daemon.parts import Parts
from edge.daemon.problems import Problems
from edge.daemon.progress import Progress
from edge.daemon.recovery import SourceRecovery
from edge.daemon.stalls import StallCheck, Watched
from edge.daemon.supervisor import Supervisor
from edge.daemon.tallies import Tallies
from edge.daemon.timed_detector import TimedDetector
from edge.hooks.hooks import Hooks
from edge.runtime.machine import board
from edge.runtime.weak import weakly
from edge.sources import open_source
from edge.sources.base import Source
from edge.sources.reconnect import Reconnecting
from edge.vision.build import build_detector, build_pipeline
from edge.vision.detector import Detector
from edge.vision.places import Places


def assemble(
    settings: Settings,
    listener: Listener | None = None,
    reload: Reload | None = None,
    last_events_ns: dict[str, int] | None = None,
    *,
    waits: bool = True,
    source: Source | None = None,
) -> Daemon:
    """Loads the model, checks the settings, and returns a daemon that can be run.

    Sockets, files and the source are opened when it runs. listener: receives every message.
    reload: carries out the command `reload`; it may call the daemon's `stop`. last_events_ns: as
    for `Triggers`. waits: whether it waits for a live source that can't be opened at the start.
    source: instead of that of the settings. Raises EdgeError.
    """
    shared = _Shared(settings, build_detector(settings), last_events_ns)
    boot_id = secrets.token_hex(8)
    publisher = Publisher(settings.bus, settings.camera, boot_id, shared.problems.report)
    outlet = Outlet(publisher, shared.progress, listener)
    recorder = _recorder(shared, outlet, boot_id)
    source = source or _source(shared, waits=waits)
    remote = Remote(settings, boot_id, recorder.trigger, reload, shared.blurred)
    hooks, acquisition = _hooks(shared, remote), _acquisition(shared, source, recorder)
    parts = Parts(
        settings=settings,
        model=shared.model.name,
        progress=shared.progress,
        problems=shared.problems,
        acquisition=acquisition,
        analysis=_analysis(shared, acquisition, outlet, hooks, recorder, remote),
        recorder=recorder,
        publisher=publisher,
        control=ControlServer(settings.bus, remote, shared.problems.report),
        hooks=hooks,
        remote=remote,
        places=shared.places,
    )
    supervisor = _supervisor(shared, parts, outlet, source)
    return Daemon(parts, supervisor, LiveSettings(parts, shared.governor, shared.model))


class _Shared:
    """The parts that most other parts need."""

    def __init__(
        self, settings: Settings, model: Detector, last_events_ns: dict[str, int] | None
    ) -> None:
        self.settings = settings
        self.model = model
        self.last_events_ns = last_events_ns
        self.problems = Problems(lasting=getattr(model, "warnings", ()))
        self.progress = Progress()
        self.places = Places()
        self.governor = Governor(settings.governor)
        self.detector = TimedDetector(model, self.progress)
        self.classes = publish.classes_of(self.detector)
        self.blurred = BlurredBoxes(settings.privacy.blur, self.classes)


def _recorder(shared: _Shared, outlet: Outlet, boot_id: str) -> Recorder:
    return Recorder(
        shared.settings.capture,
        on_capture=outlet.capture,
        on_failure=outlet.capture_failure,
        on_error=shared.problems.report,
        origin=Origin(
            model=shared.model.name, model_sha256=shared.model.sha256, boot_id=boot_id,
            board=board(), site=shared.settings.site,
        ),
        clips=shared.settings.captures_clips,
        blurred=shared.blurred,
    )  # fmt: skip


def _source(shared: _Shared, *, waits: bool) -> Source:
    """A source that is not open yet."""
    settings = shared.settings
    return open_source(
        settings.source,
        settings.health.stall_s,
        shared.problems.report,
        clip_height_px=settings.capture.clip_height_px if settings.captures_clips else 0,
        masks=settings.privacy.masks,
        waits=waits,
    )


def _hooks(shared: _Shared, remote: Remote) -> Hooks:
    settings = shared.settings
    capture = partial(remote.capture, settings.hooks.input_captures, EXTERNAL_RULE)
    return Hooks(settings, capture, shared.problems.report)


def _acquisition(shared: _Shared, source: Source, recorder: Recorder) -> Acquisition:
    governor, settings = shared.governor, shared.settings
    acquisition = Acquisition(
        source,
        recorder,
        shared.progress,
        lambda: governor.level.frame_rate,
        TimelapseRequests(
            settings.timelapse, settings.camera, recorder.trigger, settings.site.position
        ),
        wait=settings.source.fast,
    )
    if isinstance(source, Reconnecting):
        source.on_resume = weakly(acquisition.resume)  # weakly, as it owns the source
    return acquisition


def _analysis(
    shared: _Shared,
    acquisition: Acquisition,
    outlet: Outlet,
    hooks: Hooks,
    recorder: Recorder,
    remote: Remote,
) -> AnalysisThread:
    settings, governor, detector = shared.settings, shared.governor, shared.detector
    tallies = Tallies(settings, remote.boot_id, outlet, recorder)
    reporter = Reporter(
        settings, shared.classes, outlet, hooks, recorder, shared.progress, shared.places, tallies,
        shared.blurred,
    )  # fmt: skip
    return AnalysisThread(
        acquisition,
        partial(build_pipeline, settings, detector, last_events_ns=shared.last_events_ns),
        reporter,
        remote,
        picture_s=settings.health.picture_s,
        frozen_s=settings.health.frozen_s,
        budget_share=lambda: governor.level.budget,
    )


def _supervisor(shared: _Shared, parts: Parts, outlet: Outlet, source: Source) -> Supervisor:
    stall_s, hang_s = shared.settings.health.stall_s, shared.settings.health.hang_s
    pause_s = shared.settings.source.snapshot_pause_s  # between pictures, which is no stall
    acquisition, analysis = parts.acquisition, parts.analysis
    watched = [
        Watched("opening", acquisition.opening_s, "opening the source has lasted"),
        Watched(
            "source", lambda: acquisition.quiet_s() - pause_s, "no frame has come", fatal=False
        ),
        Watched("inference", shared.detector.invocation.busy_s, "an invocation has lasted"),
        Watched("analysis", analysis.thread.busy_s, "the analysis of a frame has lasted"),
        Watched("writer", parts.recorder.busy_s, "writing captures has not progressed"),
        Watched("publisher", parts.publisher.behind_s, "no message was published"),
    ]
    return Supervisor(
        parts,
        outlet,
        shared.governor,
        SourceRecovery(source, stall_s=stall_s, hang_s=hang_s),
        StallCheck(watched, shared.problems, stall_s=stall_s, hang_s=hang_s),
    )
