"""Crossings and stays of a running daemon: messages, the table, and totals over a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edge.capture.tally import read_tally
from edge.config.schema import BusSettings, CaptureSettings, Line, Settings, SourceSettings, Zone
from edge.daemon.assemble import assemble
from edge.daemon.tallies import Tallies
from edge.messages import AnyMessage, Crossing, LineToday, M, Presence, Stay, ZoneToday
from edge.runtime.notify import ServiceManager
from edge.runtime.times import NS_PER_S


def run(settings: Settings) -> list[AnyMessage]:
    messages: list[AnyMessage] = []
    assemble(settings, messages.append).run(ServiceManager())
    return messages


def test_crossings_and_stays_are_published_and_kept(tmp_path: Path) -> None:
    settings = Settings(
        source=SourceSettings(uri="synthetic:people?duration=14&objects=2", fast=True),
        capture=CaptureSettings(directory=str(tmp_path / "captures"), min_free_bytes=0),
        bus=BusSettings(endpoint=f"ipc://{tmp_path}/e.ipc", control=f"ipc://{tmp_path}/c.ipc"),
        lines=(Line(name="middle", points=((0.5, 0.0), (0.5, 1.0))),),
        zones=(Zone(name="right", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))),),
    )
    first = run(settings)
    crossings = [m for m in first if isinstance(m, Crossing)]
    stays = [m for m in first if isinstance(m, Stay)]
    assert crossings
    assert stays
    assert {m.label for m in crossings} == {"person"}
    assert crossings[-1].today_in + crossings[-1].today_out == len(crossings)
    (table,) = (tmp_path / "captures" / "cam0" / "counts").iterdir()
    rows = list(read_tally(table))
    assert [row.kind for row in rows].count("crossing") == len(crossings)
    assert [row.kind for row in rows].count("stay") == len(stays)
    assert {row.kind for row in rows} == {"crossing", "stay", "trigger"}
    present = [m for m in first if isinstance(m, Presence)]
    last = present[-1]
    assert last.lines["middle"] == LineToday(
        today_in=crossings[-1].today_in, today_out=crossings[-1].today_out
    )
    assert max(m.zones["right"].objects for m in present) >= 1
    assert max(m.rules["person"] for m in present) == 2
    assert all(one != other for one, other in pairwise(map(_content, present)))
    header = crossings[0].header
    assert header is not None
    assert rows[0].track.startswith(header.boot_id) or rows[-1].track.startswith(header.boot_id)

    again = [m for m in run(settings) if isinstance(m, Crossing)]
    assert again[0].today_in + again[0].today_out == len(crossings) + 1  # unless midnight passed
    assert len(list(read_tally(table))) == 2 * len(rows)

    without = msgspec.structs.replace(
        settings, capture=CaptureSettings(directory=str(tmp_path / "none"), tables=False)
    )
    assert any(isinstance(m, Crossing) for m in run(without))
    assert not list((tmp_path / "none").rglob("*.csv"))


def _content(message: Presence) -> Presence:
    return msgspec.structs.replace(message, header=None)


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_berlin")
def test_the_totals_of_a_day_go_on_after_a_restart_and_begin_again_at_midnight(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "cam0" / "counts"
    folder.mkdir(parents=True)
    (folder / "2026-11-29.csv").write_text(
        "2026-11-29T10:00:00.000+00:00,crossing,gate,in,person,,b-1,\n"
        "2026-11-29T10:00:00.000+00:00,stay,pond,,person,,b-1,4.5\n"
        "2026-11-29T10:00:00.000+00:00,stay,pond,,person,,b-1,nan\n"
        "2026-11-29T10:00:00.000+00:00,stay,po"
    )
    published: list[AnyMessage] = []

    class Collector:
        def about_frame(self, message: M, _frame: object) -> M:
            published.append(message)
            return message

    settings = Settings(
        capture=CaptureSettings(directory=str(tmp_path)),
        lines=(Line(name="gate", points=((0.5, 0.0), (0.5, 1.0))),),
        zones=(Zone(name="pond", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))),),
    )
    tallies = Tallies(settings, "boot", Collector(), None)  # type: ignore[arg-type]
    for minute in (0, 29, 30, 31):  # 22:30 UTC is 23:30 in Berlin; 23:00 UTC is midnight there
        wall = datetime(2026, 11, 29, 22, 30, tzinfo=UTC) + timedelta(minutes=minute)
        tallies(_empty(round(wall.timestamp()) * NS_PER_S), (640, 480))
    evening, night = published
    assert isinstance(evening, Presence)
    assert isinstance(night, Presence)
    assert evening.lines["gate"].today_in == 1
    assert evening.zones["pond"] == ZoneToday(objects=0, today_stays=1, today_stay_s=4.5)
    assert night.lines["gate"].today_in == night.zones["pond"].today_stays == 0


def _empty(wall_ns: int) -> Any:
    """The analysis of a frame without objects."""
    return SimpleNamespace(
        tracks=(), present={}, frame=SimpleNamespace(wall_ns=wall_ns, timestamp_ns=wall_ns)
    )
