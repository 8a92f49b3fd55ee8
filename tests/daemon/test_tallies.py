"""Crossings and stays of a running daemon: messages, the table, and totals over a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.capture.tally import read_tally
from edge.config.schema import BusSettings, CaptureSettings, Line, Settings, SourceSettings, Zone
from edge.daemon.assemble import assemble
from edge.messages import AnyMessage, Crossing, Stay
from edge.runtime.notify import ServiceManager


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
    header = crossings[0].header
    assert header is not None
    assert rows[0].track.startswith(header.boot_id) or rows[-1].track.startswith(header.boot_id)

    again = [m for m in run(settings) if isinstance(m, Crossing)]
    assert again[0].today_in + again[0].today_out == len(crossings) + 1  # unless midnight passed

    without = msgspec.structs.replace(
        settings, capture=CaptureSettings(directory=str(tmp_path / "none"), tables=False)
    )
    assert any(isinstance(m, Crossing) for m in run(without))
    assert not list((tmp_path / "none").rglob("*.csv"))
