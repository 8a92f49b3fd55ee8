"""Requests captures at fixed times, by the wall time of the frames."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from edge.capture.request import CaptureRequest
from edge.config.schema import Timelapse
from edge.runtime.schedule import Moment, Schedule
from edge.runtime.sun import Position
from edge.runtime.times import NS_PER_S
from edge.vision.types import Frame

# A capture that is late by more is left out, so that a clock that is set makes no old ones.
LATE_NS: Final = 60 * NS_PER_S
_DAY: Final = timedelta(days=1)


class TimelapseRequests:
    """Call it with each frame. Not thread-safe."""

    def __init__(
        self,
        series: Sequence[Timelapse],
        camera: str,
        request: Callable[[CaptureRequest], object],
        position: Position | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        """request: takes each request at once. position: for times by the sun.

        zone: instead of the machine's.
        """
        self._series = [_Series(one, position, zone) for one in series]
        self._camera = camera
        self._request = request
        self._last_ns: int | None = None
        self._next_ns = 0

    def __call__(self, frame: Frame) -> None:
        """Requests the captures that have become due since the previous frame."""
        if not self._series:
            return
        last_ns, self._last_ns = self._last_ns, frame.wall_ns
        if last_ns is not None:
            if last_ns <= frame.wall_ns < self._next_ns:
                return
            since_ns = max(last_ns, frame.wall_ns - LATE_NS)
            for series in self._series:
                if series.is_due(since_ns, frame.wall_ns):
                    self._request(self._of(series.settings, frame))
        self._next_ns = min(series.next_ns(frame.wall_ns) for series in self._series)

    def _of(self, series: Timelapse, frame: Frame) -> CaptureRequest:
        return CaptureRequest(
            event_id=secrets.token_hex(8),
            rule=series.name,
            camera=self._camera,
            wall_ns=frame.wall_ns,
            timestamp_ns=frame.timestamp_ns,
            actions=series.actions,
            still=frame.detached() if "still" in series.actions else None,
            method="timelapse",
        )


class _Series:
    """The times of one series."""

    def __init__(self, settings: Timelapse, position: Position | None, zone: tzinfo | None) -> None:
        self.settings = settings
        self._position = position
        self._zone = zone
        self._moments = [Moment.parse(text) for text in settings.at]
        self._schedule = Schedule(settings.schedule, position, zone)

    def is_due(self, since_ns: int, now_ns: int) -> bool:
        """Whether a time of the series is after `since_ns`, and not after `now_ns`."""
        return now_ns in self._schedule and self.next_ns(since_ns) <= now_ns

    def next_ns(self, after_ns: int) -> int:
        """The first time of the series after this one, as Unix time. Spans are not considered."""
        return min(at for at in self._times_ns(after_ns) if at > after_ns)

    def _times_ns(self, near_ns: int) -> Iterator[int]:
        """The times of `at` on these days; without any, the end of the present interval."""
        now = datetime.fromtimestamp(near_ns / NS_PER_S, self._zone)
        for moment in self._moments:
            for days in range(-1, 3):  # an offset may move a time into the day before or after
                at = moment.on(now.date() + days * _DAY, self._position, self._zone)
                yield round(at.timestamp() * NS_PER_S)
        if self._moments:
            return
        step_ns = round(self.settings.every_min * 60 * NS_PER_S)
        today, tomorrow = (self._midnight_ns(now.date() + n * _DAY) for n in (0, 1))
        yield min(near_ns + step_ns - (near_ns - today) % step_ns, tomorrow)

    def _midnight_ns(self, day: date) -> int:
        at = Moment.parse("00:00").on(day, None, self._zone)
        return round(at.timestamp() * NS_PER_S)
