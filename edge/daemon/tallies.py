"""Publishes crossings, stays and the objects present, and keeps the table of the day."""

from __future__ import annotations

import time
from collections import Counter as Totals
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from edge.capture.naming import local_time
from edge.capture.recorder import Recorder
from edge.capture.tally import SUFFIX, TallyRow, read_tally, tally_folder
from edge.config.schema import Settings
from edge.daemon.outlet import Outlet
from edge.daemon.pictures import Size
from edge.messages import Crossing, LineToday, Presence, Stay, ZoneToday
from edge.runtime.times import NS_PER_S
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
        self._today = _Today()
        self._presence: Presence | None = None

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
        if self._settings.lines or self._settings.zones:
            self._begin_day(frame)
        crossings, stays = self._counter(analysis.tracks, frame.timestamp_ns)
        for crossing in crossings:
            self._crossing(crossing, frame)
        for stay in stays:
            message = self._outlet.about_frame(_message(stay), frame)
            self._today.stay(message.zone, message.duration_s)
            self._write_stay(message, frame.wall_ns, stay.track)
        presence = self._present(analysis)
        if presence != self._presence:
            self._presence = presence
            self._outlet.about_frame(presence, frame)

    def _present(self, analysis: Analysis) -> Presence:
        inside, today = self._counter.inside(), self._today
        return Presence(
            rules=dict(analysis.present),
            zones={zone: today.zone(zone, objects) for zone, objects in inside.items()},
            lines={line.name: today.line(line.name) for line in self._settings.lines},
        )

    def end(self) -> None:
        """Reports the stays that have not ended when the source does."""
        for stay in self._counter.end():
            message = self._outlet.about_now(_message(stay))
            self._write_stay(message, time.time_ns(), stay.track)

    def trigger(self, event: TriggerEvent, frame: Frame) -> None:
        """Adds a trigger to the table. frame: the one that confirmed it."""
        self._write(TallyRow("", "trigger", event.rule.name), frame.wall_ns, event.track)

    def _crossing(self, crossing: counting.Crossing, frame: Frame) -> None:
        self._today.crossings[crossing.line, crossing.direction] += 1
        track, today = crossing.track, self._today.line(crossing.line)
        message = Crossing(
            line=crossing.line,
            direction=crossing.direction,
            track_id=track.id,
            label=track.label,
            group=track.group,
            today_in=today.today_in,
            today_out=today.today_out,
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

    def _begin_day(self, frame: Frame) -> None:
        """At the first frame of a day: the totals so far, which another run may have written."""
        second = frame.wall_ns // NS_PER_S
        if second == self._today.second:  # asked with each frame
            return
        day, self._today.second = local_time(frame.wall_ns).date(), second
        if day == self._today.day:
            return
        self._today = _Today(day, second)
        folder = tally_folder(Path(self._settings.capture.directory), self._settings.camera)
        with suppress(OSError):
            for row in read_tally(folder / f"{day}{SUFFIX}"):
                if row.kind == "crossing":
                    self._today.crossings[row.name, row.direction] += 1
                elif (seconds := row.stay_s) is not None:
                    self._today.stay(row.name, seconds)


@dataclass(slots=True)
class _Today:
    """The counts of a day: crossings by line and direction, stays and their time by zone.

    second: Unix time at which the day was last compared with the clock's.
    """

    day: date | None = None
    second: int = -1
    crossings: Totals[tuple[str, str]] = field(default_factory=Totals)
    stays: Totals[str] = field(default_factory=Totals)
    stay_s: dict[str, float] = field(default_factory=dict)

    def stay(self, zone: str, duration_s: float) -> None:
        self.stays[zone] += 1
        self.stay_s[zone] = self.stay_s.get(zone, 0.0) + duration_s

    def line(self, name: str) -> LineToday:
        return LineToday(today_in=self.crossings[name, "in"], today_out=self.crossings[name, "out"])

    def zone(self, name: str, objects: int) -> ZoneToday:
        return ZoneToday(
            objects=objects,
            today_stays=self.stays[name],
            today_stay_s=round(self.stay_s.get(name, 0.0), 3),
        )


def _message(stay: counting.Stay) -> Stay:
    return Stay(
        zone=stay.zone,
        track_id=stay.track.id,
        label=stay.track.label,
        group=stay.track.group,
        duration_s=round(stay.duration_s, 3),
    )
