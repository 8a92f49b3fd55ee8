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
        self._health_due_s = self._govern_due_s = 0.0

    def step(self, manager: ServiceManager) -> None:
        """Does all checks that are due, and publishes health.

        Raises the error that ended a part, and StalledError for a stage that hangs.
        """
        parts = self._parts
        parts.raise_errors()
        if not self._ready and parts.progress.frames:
            self._ready = True
            manager.ready(f"watching {parts.settings.source.name}")
        self._report_picture(parts.analysis.picture)
        self._stalls()
        self._recovery(parts.analysis.picture)
        now_s = time.monotonic()
        self._govern(now_s)
        if not self._stalls.stalled:
            manager.feed(parts.progress.frames)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + parts.settings.health.interval_s
            self.publish_health("running" if self._ready else "starting")
            manager.status(self._status())

    def publish_health(self, state: State) -> None:
        message = self._health(state, self._readings)
        self._parts.remote.health = message
        self._outlet.about_now(message)

    def _report_picture(self, picture: PictureState) -> None:
        if picture is PictureState.GOOD:
            self._parts.problems.clear("picture")
        else:
            self._parts.problems.report(SENTENCES[picture], "picture")

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
        if self._stalls.stalled:
            return f"stalled: {' and '.join(self._stalls.stalled)}"
        rates = self._health.rates
        return (
            f"{rates.fps:.1f} fps, {rates.invocations_per_s:.1f} invocations/s, "
            f"{self._parts.progress.triggers} triggers"
        )
