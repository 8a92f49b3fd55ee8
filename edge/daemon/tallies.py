"""Publishes crossings and stays, and keeps the table of them and of triggers."""

from __future__ import annotations

import time
from collections import Counter as Totals
from contextlib import suppress
from datetime import date
from pathlib import Path

from edge.capture.naming import local_time
from edge.capture.recorder import Recorder
from edge.capture.tally import SUFFIX, TallyRow, read_tally, tally_folder
from edge.config.schema import Settings
from edge.daemon.outlet import Outlet
from edge.daemon.pictures import Size
from edge.messages import Crossing, Stay
from edge.vision import counting
from edge.vision.pipeline import Analysis
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Frame, Track


class Tallies:
    """Call it with each analysis; the analysis thread does."""

    def __init__(
        self, settings: Settings, boot_id: str, outlet: Outlet, recorder: Recorder
    ) -> None:
        self._settings = settings
        self._boot_id = boot_id
        self._outlet = outlet
        self._recorder = recorder
        self._size: Size = (0, 0)
        self._counter = counting.Counter((), (), self._size)
        self._today: date | None = None
        self._totals: Totals[tuple[str, str]] = Totals()

    def apply(self, settings: Settings) -> None:
        """Uses other lines and zones from the next frame on."""
        self._settings = settings
        self._counter.replace(settings.lines, settings.zones, self._size)

    def __call__(self, analysis: Analysis, size: Size) -> None:
        """size: (width, height) of the main picture."""
        if size != self._size:
            self._size = size
            self.apply(self._settings)
        frame = analysis.frame
        crossings, stays = self._counter(analysis.tracks, frame.timestamp_ns)
        for crossing in crossings:
            self._crossing(crossing, frame)
        for stay in stays:
            message = self._outlet.about_frame(_message(stay), frame)
            self._write_stay(message, frame.wall_ns, stay.track)

    def end(self) -> None:
        """Reports the stays that have not ended when the source does."""
        for stay in self._counter.end():
            message = self._outlet.about_now(_message(stay))
            self._write_stay(message, time.time_ns(), stay.track)

    def trigger(self, event: TriggerEvent, frame: Frame) -> None:
        """Adds a trigger to the table. frame: the one that confirmed it."""
        self._write(TallyRow("", "trigger", event.rule.name), frame.wall_ns, event.track)

    def _crossing(self, crossing: counting.Crossing, frame: Frame) -> None:
        self._begin_day(local_time(frame.wall_ns).date())
        self._totals[crossing.line, crossing.direction] += 1
        track = crossing.track
        message = Crossing(
            line=crossing.line,
            direction=crossing.direction,
            track_id=track.id,
            label=track.label,
            group=track.group,
            today_in=self._totals[crossing.line, "in"],
            today_out=self._totals[crossing.line, "out"],
        )
        self._outlet.about_frame(message, frame)
        row = TallyRow("", "crossing", crossing.line, crossing.direction)
        self._write(row, frame.wall_ns, track)

    def _write_stay(self, stay: Stay, wall_ns: int, track: Track) -> None:
        row = TallyRow("", "stay", stay.zone, duration_s=str(stay.duration_s))
        self._write(row, wall_ns, track)

    def _write(self, row: TallyRow, wall_ns: int, track: Track) -> None:
        """Completes the row by its time and its track."""
        if not self._settings.capture.tables:
            return
        row = row._replace(
            time=local_time(wall_ns).isoformat(timespec="milliseconds"),
            label=track.label,
            group=track.group,
            track=f"{self._boot_id}-{track.id}",
        )
        self._recorder.tally(self._settings.camera, wall_ns, row)

    def _begin_day(self, day: date) -> None:
        """At the first crossing of a day: the totals so far, which another run may have written."""
        if day == self._today:
            return
        self._today, self._totals = day, Totals()
        folder = tally_folder(Path(self._settings.capture.directory), self._settings.camera)
        with suppress(OSError):
            for row in read_tally(folder / f"{day}{SUFFIX}"):
                if row.kind == "crossing":
                    self._totals[row.name, row.direction] += 1


def _message(stay: counting.Stay) -> Stay:
    return Stay(
        zone=stay.zone,
        track_id=stay.track.id,
        label=stay.track.label,
        group=stay.track.group,
        duration_s=round(stay.duration_s, 3),
    )
