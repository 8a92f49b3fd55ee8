"""The benchmarks that need no ground truth, each run for a short while."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.bench.clock import CpuClock
from edge.bench.daemon_idle import daemon_idle
from edge.cli import commands
from edge.config.schema import Settings


def bench(*arguments: str, out: Path) -> tuple[dict, str]:
    result = CliRunner().invoke(commands, ["bench", *arguments, "--json", str(out)])
    assert result.exit_code == 0, result.output
    return json.loads(out.read_text()), result.output


def test_the_time_of_a_nested_stage_is_not_counted_in_the_outer_one() -> None:
    clock = CpuClock()
    with clock("outer"):
        sum(range(200_000))
        with clock("inner"):
            sum(range(2_000_000))
    assert clock.spent["inner"] > 3 * clock.spent["outer"] > 0


def test_the_overhead_is_the_sum_of_all_stages(tmp_path: Path) -> None:
    source = "synthetic:people?duration=10&fps=10"
    report, output = bench("stages", "--source", source, out=tmp_path / "s.json")
    assert report["frames"] == 80
    assert 0 < report["invocations_per_frame"] <= 1
    assert all(report["stage_us"][name] > 0 for name in ("motion", "flow", "crops", "tracker"))
    together_us = sum(report["stage_us"].values()) + report["bus_thread_us"]
    assert report["overhead"] == pytest.approx(together_us / report["invocation_us"], rel=0.01)
    assert "flow" in output


def test_a_still_scene_costs_one_invocation_and_less_than_mog2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.bench.idle.FRAMES", 100)
    reports, output = bench("idle", "--rounds", "1", "--daemon-s", "0", out=tmp_path / "i.json")
    still, busy = reports
    assert still["invocations"] == 1  # for the first frame
    assert still["over_floor"]["floor"] == busy["over_floor"]["floor"] == 1
    assert still["cpu_us"]["motion"] < still["cpu_us"]["MOG2"] < still["cpu_us"]["whole-frame"]
    assert "x floor" in output


def test_whole_daemons_without_and_with_clips_are_measured() -> None:
    steps: list[tuple[int, int, str]] = []
    report = daemon_idle(
        Settings(), seconds=0.6, rounds=1, progress=lambda *step: steps.append(step), warm_up_s=0.2
    )
    assert [row.name for row in report.rows] == [
        "without clips", "with clips", "camera's buffers", "encoding always",
    ]  # fmt: skip
    assert all(row.cpu_ms > 0 and row.rss_bytes > 50e6 for row in report.rows)
    assert report.rows[3].cpu_ms > report.rows[1].cpu_ms
    assert [done for done, _, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_the_latency_of_a_trigger_starts_at_the_first_exposed_pixel(tmp_path: Path) -> None:
    report, output = bench("latency", "--visits", "2", out=tmp_path / "l.json")
    assert report["triggers"] == 2
    assert 0 <= report["looks"]["p50_ms"] < 2000
    assert 0 < report["analysis"]["p50_ms"] <= report["exposure"]["p50_ms"]
    assert report["exposure"]["p50_ms"] < report["first_pixel"]["p50_ms"]
    assert 0 < report["alone"]["p50_ms"] <= report["alone"]["p99_ms"]
    assert "2 triggers of 2 visits" in output


def test_memory_grows_by_less_than_10_mb(tmp_path: Path) -> None:
    source = "synthetic:people?duration=10&fps=10"
    report, _ = bench("memory", "--source", source, "--frames", "500", out=tmp_path / "m.json")
    assert report["frames"] == 500
    assert report["late_bytes"] - report["early_bytes"] < 10e6


def test_too_little_footage_is_an_error(tmp_path: Path) -> None:
    arguments = ["bench", "stages", "--source", "synthetic:people?duration=1&fps=10"]
    result = CliRunner().invoke(commands, arguments)
    assert "at least 40 are needed" in str(result.exception)
