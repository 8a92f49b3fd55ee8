from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge.capture.recorder import Recorder
from edge.capture.request import CaptureRequest, CaptureResult
from edge.capture.sidecar import read_sidecar
from edge.capture.timelapse import TimelapseRequests
from edge.config.schema import CaptureSettings, Timelapse
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import Frame

CET = ZoneInfo("Europe/Berlin")
BERLIN = (52.52, 13.41)
LUMA, MAIN = (
    np.zeros((48, 64), np.uint8),
    Picture(PixelFormat.RGB, (np.zeros((48, 64, 3), np.uint8),)),
)


def frame(wall_s: float) -> Frame:
    return Frame(0, round(wall_s * 1e9), round(wall_s * 1e9), LUMA, MAIN)


def s(text: str, zone: tzinfo = CET) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def times(
    series: Timelapse, first: str, last: str, step_s: float = 1.0, zone: tzinfo = CET
) -> list[str]:
    """Local times, to the second, of the captures that frames from `first` to `last` request."""
    requests: list[CaptureRequest] = []
    requester = TimelapseRequests([series], "cam0", requests.append, BERLIN, zone)
    now_s = s(first, zone)
    while now_s <= s(last, zone):
        requester(frame(now_s))
        now_s += step_s
    return [
        datetime.fromtimestamp(request.wall_ns / 1e9, zone).strftime("%d %H:%M:%S")
        for request in requests
    ]


def test_captures_come_at_each_interval_counted_from_midnight() -> None:
    series = Timelapse(name="all", every_min=20)
    found = times(series, "2026-11-25T22:55", "2026-11-26T00:45")
    assert found == ["25 23:00:00", "25 23:20:00", "25 23:40:00", "26 00:00:00", "26 00:20:00",
                     "26 00:40:00"]  # fmt: skip


def test_an_interval_that_does_not_divide_the_day_begins_again_at_midnight() -> None:
    series = Timelapse(name="odd", every_min=50)
    found = times(series, "2026-11-25T22:30", "2026-11-26T01:00")
    assert found == ["25 23:20:00", "26 00:00:00", "26 00:50:00"]


def test_captures_at_times_of_the_clock_and_the_sun() -> None:
    series = Timelapse(name="daily", at=("12:00", "sunset-30m"))
    found = times(series, "2026-11-25T00:00", "2026-11-26T23:59", step_s=10)
    assert [time[:8] for time in found] == ["25 12:00", "25 15:30", "26 12:00", "26 15:29"]


def test_a_schedule_limits_the_captures() -> None:
    series = Timelapse(name="day", every_min=60, schedule=("sunrise-sunset",))
    found = times(series, "2026-12-21T00:00", "2026-12-21T23:59", step_s=10)
    assert [time[3:5] for time in found] == ["09", "10", "11", "12", "13", "14", "15"]


@pytest.mark.parametrize(
    ("before", "day", "hours"),
    [("2026-03-28", "2026-03-29", 23), ("2026-10-24", "2026-10-25", 25)],
)
def test_each_hour_has_one_capture_also_when_the_clocks_change(
    before: str, day: str, hours: int
) -> None:
    found = times(Timelapse(name="hourly"), f"{before}T23:59", f"{day}T23:59", step_s=10)
    assert len(found) == hours
    assert all(time.endswith(":00:00") for time in found)


def test_a_clock_that_is_set_makes_no_captures_of_the_past_and_goes_on() -> None:
    requests: list[CaptureRequest] = []
    requester = TimelapseRequests([Timelapse(name="a")], "cam0", requests.append, zone=UTC)
    walls = ["1970-01-01T00:10", "2026-11-25T12:30", "2026-11-25T13:00:02", "2026-11-25T10:59:59",
             "2026-11-25T11:00:00", "2026-11-25T11:00:01", "2026-11-25T17:00:30"]  # fmt: skip
    for wall in walls:
        requester(frame(s(wall, UTC)))
    # The leap from 12:30 misses 13:00 by two seconds, which is late but not of the past.
    expected = [s(walls[index], UTC) for index in (2, 4, 6)]
    assert [request.wall_ns / 1e9 for request in requests] == expected


def test_the_first_frame_after_a_start_requests_nothing() -> None:
    assert (
        times(Timelapse(name="a", at=("12:00",)), "2026-11-25T12:00:01", "2026-11-25T12:10") == []
    )


def test_a_series_writes_its_stills(tmp_path: Path) -> None:
    results: list[CaptureResult] = []
    recorder = Recorder(
        CaptureSettings(directory=str(tmp_path), min_free_bytes=0),
        on_capture=results.append, on_error=pytest.fail, clips=False,
    )  # fmt: skip
    recorder.start()
    requester = TimelapseRequests([Timelapse(name="daily", at=("12:00",))], "cam0",
                                  recorder.trigger, zone=UTC)  # fmt: skip
    for second in range(5):
        requester(frame(s("2026-11-25T11:59:58", UTC) + second))
    recorder.stop()
    (result,) = results
    assert result.rule == "daily"
    assert result.wall_ns / 1e9 == s("2026-11-25T12:00", UTC)
    assert result.path.stat().st_size > 0
    sidecar = read_sidecar(result.sidecar)
    assert sidecar is not None
    assert sidecar.events[0].method == "timelapse"
