"""Supervision in the main thread: progress, stalls, heat, the health message, the watchdog."""

from __future__ import annotations

import time

from edge.daemon.governor import Governor
from edge.daemon.health import HealthReport, State
from edge.daemon.outlet import Outlet
from edge.daemon.parts import Parts
from edge.daemon.recovery import SourceRecovery
from edge.daemon.stalls import StallCheck
from edge.runtime import machine
from edge.runtime.machine import Readings
from edge.runtime.notify import ServiceManager
from edge.sources.kinds import Kind, kind_of
from edge.vision.picture_check import SENTENCES, PictureState

GOVERN_S = 2.0  # a SoC warms by less than a degree in this time


class Supervisor:
    """Watches the parts of one daemon; call `step` several times per second."""

    def __init__(
        self,
        parts: Parts,
        outlet: Outlet,
        governor: Governor,
        recovery: SourceRecovery,
        stalls: StallCheck,
    ) -> None:
        self._parts = parts
        self._outlet = outlet
        self._governor = governor
        self._recovery = recovery
        self._stalls = stalls
        self._health = HealthReport(parts, governor, recovery, stalls)
        self._readings = Readings()
        self._ready = False
        self._is_found_again = kind_of(parts.settings.source.uri) is not Kind.PICAMERA2
        self._health_due_s = self._govern_due_s = 0.0

    def step(self, manager: ServiceManager) -> None:
        """Does all checks that are due, and publishes health.

        Raises the error that ended a part, and StalledError for a stage that hangs.
        """
        parts = self._parts
        parts.raise_errors()
        self._report_missing()
        self._announce(manager)
        self._report_picture(parts.analysis.picture)
        self._stalls()
        self._recovery(parts.analysis.picture)
        now_s = time.monotonic()
        self._govern(now_s)
        self._feed(manager)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + parts.settings.health.interval_s
            self.publish_health("running" if parts.progress.frames else "starting")
            manager.status(self._status())

    def publish_health(self, state: State) -> None:
        message = self._health(state, self._readings)
        self._parts.remote.health = message
        self._outlet.about_now(message)

    def _announce(self, manager: ServiceManager) -> None:
        """The service is ready when frames are analysed, or when only the source is missing."""
        parts = self._parts
        if self._ready or not (parts.progress.frames or parts.acquisition.waiting):
            return
        self._ready = True
        state = "watching" if parts.progress.frames else "waiting for"
        manager.ready(f"{state} {parts.settings.source.name}")

    def _feed(self, manager: ServiceManager) -> None:
        """While the daemon waits for its source, the source's stall is no fault of the process.

        libcamera may find a camera again only in a new process, so the watchdog ends this one.
        """
        parts, stalled = self._parts, set(self._stalls.stalled)
        waiting = bool(parts.acquisition.waiting) and self._is_found_again
        if waiting:
            stalled -= {"source"}
        if not stalled:
            manager.feed(parts.progress.frames, waiting=waiting)

    def _report_missing(self) -> None:
        """A source that can't be opened yet, and a disk that can't be written yet."""
        waiting, trouble = self._parts.acquisition.waiting, self._parts.recorder.trouble
        self._report("waiting", waiting and f"waiting for the source: {waiting}")
        self._report("captures", trouble)

    def _report(self, key: str, sentence: str) -> None:
        if sentence:
            self._parts.problems.report(sentence, key)
        else:
            self._parts.problems.clear(key)

    def _report_picture(self, picture: PictureState) -> None:
        self._report("picture", SENTENCES.get(picture, ""))

    def _govern(self, now_s: float) -> None:
        if now_s < self._govern_due_s:
            return
        self._govern_due_s = now_s + GOVERN_S
        self._readings = machine.read()
        if not self._parts.acquisition.live:
            return  # a recording is analysed the same at any temperature
        self._governor(self._readings, now_s)
        if self._governor.number:
            sentence = f"work is reduced to level {self._governor.number}: {self._readings}"
            self._parts.problems.report(sentence, "governor")
        else:
            self._parts.problems.clear("governor")

    def _status(self) -> str:
        if self._parts.acquisition.waiting:
            return f"waiting for {self._parts.settings.source.name}"
        if self._stalls.stalled:
            return f"stalled: {' and '.join(self._stalls.stalled)}"
        rates = self._health.rates
        return (
            f"{rates.fps:.1f} fps, {rates.invocations_per_s:.1f} invocations/s, "
            f"{self._parts.progress.triggers} triggers"
        )
