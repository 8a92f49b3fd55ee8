"""Dawn, sunrise, noon, sunset and dusk at a place, also where the sun does not rise or set.

The library astral computes each event. It is imported at the first use, as most cameras need none.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from edge.config.schema import SUN_EVENTS, SunEvent

if TYPE_CHECKING:
    from astral import Observer

_HALF_DAY: Final = timedelta(hours=12)
# Height of the sun's centre at sunrise and sunset, with refraction; and at civil dawn and dusk.
_LIMITS_DEG: Final = {"sunrise": -0.833, "sunset": -0.833, "dawn": -6.0, "dusk": -6.0}


Position = tuple[float, float]  # degrees north of the equator, degrees east of Greenwich


@lru_cache(maxsize=16)  # the days around the present one
def sun_times(position: Position, day: date) -> dict[SunEvent, datetime]:
    """The sun's events around the noon of a calendar day, in UTC.

    They follow each other in the order of SUN_EVENTS, within 12 h of the sun's noon. An event that
    the day lacks takes the time that it approaches on the days before: where the sun stays up,
    dawn and sunrise are 12 h before noon, and sunset and dusk 12 h after it; where it stays down,
    all of them are at noon. So a span from sunset to sunrise covers a polar night and no polar day.
    """
    from astral import Observer, sun

    observer = Observer(*position)
    clock_noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    expected = clock_noon - timedelta(hours=position[1] / 15)
    noons = [sun.noon(observer, one) for one in _days_around(expected)]
    noon = min(noons, key=lambda at: abs(at - expected))
    return {name: _near(noon, name, observer) for name in SUN_EVENTS}


def _near(noon: datetime, name: SunEvent, observer: Observer) -> datetime:
    """The event of this name that is within 12 h of a noon, on its side of it."""
    from astral import sun

    if name == "noon":
        return noon
    side = -1 if name in ("dawn", "sunrise") else 1
    found: list[datetime] = []
    for day in _days_around(noon):
        try:
            at: datetime = getattr(sun, name)(observer, day, tzinfo=UTC)
        except ValueError:  # astral: the sun does not reach this height on that day
            continue
        if timedelta(0) <= (at - noon) * side < _HALF_DAY:
            found.append(at)
    if found:
        return min(found, key=lambda at: abs(at - noon))
    heights_deg = [sun.elevation(observer, at) for at in (noon, noon + _HALF_DAY)]
    stays_down = sum(heights_deg) / 2 < _LIMITS_DEG[name]
    return noon if stays_down else noon + side * _HALF_DAY


def _days_around(at: datetime) -> list[date]:
    """The dates to ask for, as astral's dates are those of UTC."""
    return [at.date() + timedelta(days=offset) for offset in (-1, 0, 1)]
