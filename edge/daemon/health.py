"""The health message: the state of the daemon, collected from its parts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from edge import __version__
from edge.daemon.governor import Governor
from edge.daemon.parts import Parts
from edge.daemon.places import PlaceReport
from edge.daemon.progress import Rates
from edge.daemon.recovery import SourceRecovery
from edge.daemon.stalls import StallCheck
from edge.messages import Health
from edge.runtime.machine import Readings, free_bytes, rss_bytes
from edge.runtime.times import NS_PER_S

State = Literal["starting", "running", "degraded", "stopping"]


class HealthReport:
    """Makes health messages. rates: since the previous message."""

    def __init__(
        self, parts: Parts, governor: Governor, recovery: SourceRecovery, stalls: StallCheck
    ) -> None:
        self.rates = Rates()
        self._parts = parts
        self._governor = governor
        self._recovery = recovery
        self._stalls = stalls
        self._started_ns = time.monotonic_ns()
        self._places = PlaceReport(parts)

    def __call__(self, state: State, readings: Readings) -> Health:
        """readings: the machine's, which the governor used last."""
        parts, progress = self._parts, self._parts.progress
        self.rates.read(progress)
        places = self._places()
        problems = parts.problems.current()
        info, level = parts.acquisition.info, self._governor.level
        return Health(
            state="degraded" if state == "running" and problems else state,
            source=info.name if info else parts.settings.source.name,
            model=parts.model,
            uptime_s=round((time.monotonic_ns() - self._started_ns) / NS_PER_S, 1),
            fps=round(self.rates.fps, 2),
            frames=progress.frames,
            invocations=progress.invocations,
            invocations_per_s=round(self.rates.invocations_per_s, 2),
            inference_ms=round(progress.inference_ms, 2),
            tracks=progress.tracks,
            triggers=progress.triggers,
            captures=progress.captures,
            dropped=parts.dropped,
            rss_bytes=rss_bytes(),
            temperature_c=readings.temperature_c,
            disk_free_bytes=free_bytes(Path(parts.settings.capture.directory)),
            problems=problems,
            paused=parts.remote.paused,
            stalled=self._stalls.stalled,
            picture=parts.analysis.picture.value,
            source_restarts=self._recovery.restarts,
            source_time_jumps=self._recovery.time_jumps,
            governor_level=self._governor.number,
            budget_share=level.budget,
            frame_rate_share=level.frame_rate,
            power=readings.flags,
            places=places,
            muted=progress.muted,
            version=__version__,
        )
