"""Times of the day, by the clock or the sun, and spans between two of them.

A moment is `HH:MM`, or an event of the sun with or without an offset: `sunset`, `dawn+20m`,
`sunrise-1h30m`. A span is `MOMENT-MOMENT`. All are in the local time of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final, cast

from edge.config.schema import MOMENT, SUN_EVENTS, SunEvent
from edge.runtime.sun import Position, sun_times
from edge.runtime.times import NS_PER_S

_DAY: Final = timedelta(days=1)
_SPAN: Final = re.compile(rf"({MOMENT})\s*-\s*({MOMENT})")
_PARTS: Final = re.compile(r"([a-z]+)(?:([+-])(?:(\d+)h)?(?:(\d+)m)?)?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of each day: `event` of the sun, or midnight by the clock, plus an offset."""

    event: SunEvent | None
    offset: timedelta

    @property
    def rank(self) -> int:
        """Place of the event in the order of a day."""
        return SUN_EVENTS.index(self.event) if self.event else 0

    @classmethod
    def parse(cls, text: str) -> Moment:
        """text: as `edge.config.schema.MOMENT` allows it."""
        if ":" in text:
            hours, minutes = text.split(":")
            return cls(None, timedelta(hours=int(hours), minutes=int(minutes)))
        found = _PARTS.fullmatch(text)
        assert found is not None, text
        event, sign, hours, minutes = found.groups(default="0")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return cls(cast(SunEvent, event), -offset if sign == "-" else offset)

    def on(self, day: date, position: Position | None, zone: tzinfo | None = None) -> datetime:
        """The instant of this moment on a local day. zone: instead of the machine's.

        A time that the clocks skip in spring is as late after midnight as it would otherwise be.
        """
        if self.event is None:
            at = datetime.combine(day, datetime.min.time()) + self.offset
            return at.replace(tzinfo=zone) if zone else at.astimezone()
        assert position is not None, "the settings require a position for events of the sun"
        return sun_times(position, day)[self.event] + self.offset


class Schedule:
    """Whether a time lies in one of the spans. It computes them once for each day."""

    def __init__(
        self, spans: Sequence[str], position: Position | None = None, zone: tzinfo | None = None
    ) -> None:
        """spans: as `edge.config.schema.TimeSpan` allows them. zone: instead of the machine's."""
        self._spans = [_moments(span) for span in spans]
        self._position = position
        self._zone = zone
        self._day: date | None = None
        self._bounds: list[tuple[float, float]] = []

    def __contains__(self, wall_ns: int) -> bool:
        """Whether a Unix time is in a span; always, without spans."""
        if not self._spans:
            return True
        wall_s = wall_ns / NS_PER_S
        day = datetime.fromtimestamp(wall_s, self._zone).date()
        if day != self._day:
            self._day, self._bounds = day, list(self._bounds_near(day))
        return any(start_s <= wall_s < end_s for start_s, end_s in self._bounds)

    def _bounds_near(self, day: date) -> Iterator[tuple[float, float]]:
        """Start and end of every span that may touch the day; an end before its start is empty."""
        for first, last in self._spans:
            for offset in (-2, -1, 0, 1):
                start, end = self._bounds_on(day + offset * _DAY, first, last)
                yield start.timestamp(), end.timestamp()

    def _bounds_on(self, day: date, first: Moment, last: Moment) -> tuple[datetime, datetime]:
        """The span that begins on this day.

        Of two events of the sun, the later one in SUN_EVENTS is on the same day, even where the
        span is then empty: from sunrise to sunset, in a polar night.
        """
        start, end = (moment.on(day, self._position, self._zone) for moment in (first, last))
        if first.event and last.event:
            next_day = (first.rank, first.offset) >= (last.rank, last.offset)
        else:
            next_day = end <= start
        return start, last.on(day + _DAY, self._position, self._zone) if next_day else end


def _moments(span: str) -> tuple[Moment, Moment]:
    found = _SPAN.fullmatch(span)
    assert found is not None, span
    return Moment.parse(found[1]), Moment.parse(found[2])
