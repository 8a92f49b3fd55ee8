"""Recordings with wrong times, through the programs that play them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.schema import SourceSettings
from edge.daemon.assemble import assemble
from edge.messages import AnyMessage, Health
from edge.runtime.notify import ServiceManager
from edge.tools.replay import replay
from mobiledet.recording import Recording
from tests.support.captures import packets
from tests.support.films import raw, transport

STREAM = packets(24)
FILMS = {
    "none.h264": (lambda: raw(STREAM), 0),
    "restarts.ts": (lambda: transport([(1.4, STREAM[:12]), (1.4, STREAM[12:])]), 1),
    "leaps.ts": (lambda: transport([(36_000.0, STREAM[:12]), (0.0, STREAM[12:])]), 1),
}


@pytest.mark.parametrize("name", FILMS)
def test_jumps_are_in_health_and_replay_lasts_as_long_as_the_frames(
    tmp_path: Path, name: str
) -> None:
    make, jumps = FILMS[name]
    (tmp_path / name).write_bytes(make())
    settings = load(
        None,
        {
            "source.uri": str(tmp_path / name),
            "source.fast": True,
            "capture.directory": str(tmp_path / "captures"),
            "bus.endpoint": f"ipc://{tmp_path}/e.ipc",
        },
    )
    published: list[AnyMessage] = []
    assemble(settings, published.append).run(ServiceManager())
    health = [message for message in published if isinstance(message, Health)][-1]
    assert (health.frames, health.source_time_jumps) == (24, jumps)
    summary = replay(settings, None, None, lambda *_: None)
    assert [sample.time_s for sample in summary.samples] == pytest.approx(
        [n / 10 for n in range(24)], abs=1e-3
    )


@pytest.mark.parametrize("name", FILMS)
def test_training_reads_the_same_times(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILMS[name][0]())
    with Recording(SourceSettings(uri=str(tmp_path / name), fast=True)) as footage:
        times = [time_s for _, time_s in footage.frames()]
    assert times == pytest.approx([n / 10 for n in range(24)], abs=1e-3)
