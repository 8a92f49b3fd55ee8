from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from astral import Observer, sun
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import SUN_EVENTS
from edge.runtime.schedule import Moment, Schedule
from edge.runtime.sun import Position, sun_times

BERLIN, TROMSO, AUCKLAND = (52.52, 13.41), (69.65, 18.96), (-36.85, 174.76)
CET, NZ = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Auckland")
PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


def ns(text: str, zone: tzinfo = UTC) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1e9)


@given(PLACES, DAYS)
def test_events_follow_each_other_within_12_h_of_noon(place: Position, day: date) -> None:
    times = sun_times(place, day)
    assert list(times) == list(SUN_EVENTS)
    assert all(a <= b for a, b in pairwise(times.values()))
    assert times["dusk"] - times["noon"] <= timedelta(hours=12)
    assert times["noon"] - times["dawn"] <= timedelta(hours=12)


@given(st.floats(-89, 89), st.floats(-180, 180), DAYS, st.integers(0, 1439))
def test_between_sunrise_and_sunset_the_sun_is_up(
    latitude: float, longitude: float, day: date, minute: int
) -> None:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
    height_deg = sun.elevation(Observer(latitude, longitude), at, with_refraction=False)
    if abs(height_deg + 0.833) < 0.6:  # refraction near the horizon is a matter of the weather
        return
    inside = round(at.timestamp() * 1e9) in Schedule(["sunrise-sunset"], (latitude, longitude), UTC)
    assert inside is (height_deg > -0.833)


def test_the_year_of_a_place_with_polar_day_and_night_has_no_jump() -> None:
    days = [sun_times(TROMSO, date(2026, 1, 1) + timedelta(days=n)) for n in range(366)]
    for before, after in pairwise(days):
        for name in SUN_EVENTS:
            step = after[name] - before[name] - timedelta(days=1)
            assert abs(step) < timedelta(hours=2)


@pytest.mark.parametrize(
    ("place", "day", "event", "expected"),
    [  # UTC, as almanacs print them
        (BERLIN, date(2026, 6, 21), "sunrise", "2026-06-21T02:43"),
        (BERLIN, date(2026, 6, 21), "sunset", "2026-06-21T19:33"),
        (BERLIN, date(2026, 12, 21), "sunrise", "2026-12-21T07:15"),
        (AUCKLAND, date(2026, 12, 21), "sunset", "2026-12-21T07:39"),
    ],
)
def test_the_sun_rises_and_sets_when_tables_say(
    place: Position, day: date, event: str, expected: str
) -> None:
    at = sun_times(place, day)[event]  # type: ignore[index]
    assert abs(at - datetime.fromisoformat(expected).replace(tzinfo=UTC)) < timedelta(minutes=3)


@pytest.mark.parametrize(
    ("span", "day", "expected"),
    [
        ("sunset-sunrise", "2026-12-21T12:00", True),  # polar night
        ("sunset-30m - sunrise+1h", "2026-12-21T12:00", True),
        ("sunrise-sunset", "2026-12-21T12:00", False),
        ("sunrise-sunset", "2026-06-21T00:00", True),  # midnight sun
        ("sunset-sunrise", "2026-06-21T01:00", False),
        ("dawn-dusk", "2026-12-21T11:00", True),  # twilight at noon
        ("18:00-sunrise", "2026-12-21T05:00", True),
    ],
)
def test_polar_days_and_nights(span: str, day: str, expected: bool) -> None:
    assert (ns(day, CET) in Schedule([span], TROMSO, CET)) is expected


@pytest.mark.parametrize(
    ("place", "zone", "span", "at", "expected"),
    [
        (BERLIN, CET, "sunset-30m - sunrise+1h", "2026-11-25T15:35", True),  # sunset 16:00
        (BERLIN, CET, "sunset-30m - sunrise+1h", "2026-11-25T15:20", False),
        (BERLIN, CET, "sunset-30m - sunrise+1h", "2026-11-26T03:00", True),
        (BERLIN, CET, "sunset-30m - sunrise+1h", "2026-11-26T08:40", True),  # sunrise 7:46
        (BERLIN, CET, "sunset-30m - sunrise+1h", "2026-11-26T08:50", False),
        (BERLIN, CET, "sunset-1h - sunset+1h", "2026-11-25T16:30", True),
        (BERLIN, CET, "sunset-1h - sunset+1h", "2026-11-26T10:00", False),
        (BERLIN, CET, "sunset+10h - sunrise", "2026-06-21T05:00", False),  # the night has 7 h
        (BERLIN, CET, "18:00-dusk", "2026-06-21T21:00", True),
        (AUCKLAND, NZ, "sunset-22:00", "2026-12-21T21:00", True),
        (AUCKLAND, NZ, "sunset-22:00", "2026-12-21T22:01", False),
    ],
)
def test_spans_by_the_sun(
    place: Position, zone: tzinfo, span: str, at: str, expected: bool
) -> None:
    assert (ns(at, zone) in Schedule([span], place, zone)) is expected


@pytest.mark.parametrize(
    ("span", "utc", "expected"),
    [
        ("01:00-03:30", "2026-03-29T00:30", True),  # 1:30, before the clocks go forward
        ("01:00-03:30", "2026-03-29T01:20", True),  # 3:20
        ("01:00-03:30", "2026-03-29T01:40", False),  # 3:40
        ("01:00-03:30", "2026-10-25T00:30", True),  # 2:30 for the first time
        ("01:00-03:30", "2026-10-25T01:30", True),  # 2:30 again
        ("01:00-03:30", "2026-10-25T02:20", True),  # 3:20
        ("01:00-03:30", "2026-10-25T02:40", False),  # 3:40
        ("22:00-06:00", "2026-10-25T04:50", True),  # 5:50
        ("22:00-06:00", "2026-10-25T05:10", False),  # 6:10
    ],
)
def test_clock_times_when_the_clocks_change(span: str, utc: str, expected: bool) -> None:
    assert (ns(utc) in Schedule([span], zone=CET)) is expected


def test_no_span_is_always_and_a_full_day_has_24_h() -> None:
    assert ns("2026-11-25T03:31") in Schedule([])
    assert ns("2026-11-25T08:00", CET) in Schedule(["08:00-08:00"], zone=CET)
    assert ns("2026-11-25T07:59", CET) in Schedule(["08:00-08:00"], zone=CET)


def test_a_moment_the_clocks_skip_comes_nevertheless() -> None:
    at = Moment.parse("02:30").on(date(2026, 3, 29), None, CET)
    assert at.astimezone(UTC) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("sunset", 0), ("sunset-30m", -30), ("sunset+1h", 60), ("sunset-1h30m", -90)],
)
def test_offsets(text: str, minutes: int) -> None:
    moment = Moment.parse(text)
    expected = sun_times(BERLIN, date(2026, 5, 1))["sunset"] + timedelta(minutes=minutes)
    assert moment.on(date(2026, 5, 1), BERLIN) == expected
