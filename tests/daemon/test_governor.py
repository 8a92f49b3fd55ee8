"""The governor's levels, the sensors that it reads, and the work that each level leaves."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import GovernorSettings, SchedulerSettings
from edge.daemon.governor import LEVELS, FrameGate, Governor
from edge.runtime.machine import BOARD, THROTTLED, Readings, board, read
from edge.runtime.times import NS_PER_S
from edge.vision.scheduler import Scheduler

NO_BLOBS, NO_ACTIVITY = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
SETTINGS = GovernorSettings(hot_c=75, step_c=2.5, hysteresis_c=3, calm_s=30)


def sys_tree(root: Path, zones: dict[str, str], flags: str | None = None) -> Path:
    for number, (kind, text) in enumerate(zones.items()):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(text)
    if flags is not None:
        (root / THROTTLED).parent.mkdir(parents=True)
        (root / THROTTLED).write_text(flags)
    return root


@pytest.mark.parametrize(
    ("zones", "flags", "readings"),
    [
        ({"cpu-thermal": "48312\n"}, "0\n", Readings(48.312, ())),
        ({"nvme": "90000\n", "cpu-thermal": "61000\n"}, "50005\n",
         Readings(61.0, ("under-voltage", "throttled"))),
        ({"acpitz": "40000", "x86_pkg": "50000"}, "50000", Readings(50.0, ())),
        ({"cpu-thermal": "nonsense"}, "xyz", Readings(None, ())),
        ({}, None, Readings(None, ())),
    ],
)  # fmt: skip
def test_sensors_are_read_from_the_kernels_files(
    tmp_path: Path, zones: dict[str, str], flags: str | None, readings: Readings
) -> None:
    assert read(sys_tree(tmp_path, zones, flags)) == readings


def test_heat_raises_the_level_by_one_and_a_calm_period_lowers_it_by_one() -> None:
    governor = Governor(SETTINGS)
    heat = [70, 74.9, 75, 76, 77.6, 81, 81, 81]
    numbers = []
    for second, celsius in enumerate(heat):
        governor(Readings(celsius), second)
        numbers.append(governor.number)
    assert numbers == [0, 0, 1, 1, 2, 3, 3, 3]
    assert governor.level == LEVELS[3]
    numbers = []
    for second in range(100, 240, 10):
        governor(Readings(60), second)
        numbers.append(governor.number)
    assert numbers == [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0]


def test_the_level_does_not_oscillate_within_the_hysteresis() -> None:
    governor = Governor(SETTINGS)
    changes = 0
    for second in range(0, 3600, 2):
        before = governor.number
        governor(Readings(75.1 if second % 4 else 72.5), second)
        changes += governor.number != before
    assert changes == 1


def test_a_power_flag_raises_the_level_without_a_temperature_sensor() -> None:
    governor = Governor(SETTINGS)
    for second in range(5):
        governor(Readings(None, ("under-voltage",)), second)
    assert governor.number == 2


def test_readings_have_a_text_even_without_a_sensor() -> None:
    assert str(Readings(81.4, ("throttled",))) == "throttled, 81 °C"
    assert str(Readings(None, ("under-voltage",))) == "under-voltage"
    assert str(Readings()) == "no reading now; work is restored step by step"


def test_hot_c_of_zero_ignores_the_temperature() -> None:
    governor = Governor(GovernorSettings(hot_c=0))
    governor(Readings(110), 0)
    assert governor.number == 0


@given(st.lists(st.floats(-20, 120), max_size=60))
def test_a_level_changes_by_at_most_one_and_stays_in_range(celsius: list[float]) -> None:
    governor = Governor(SETTINGS)
    for second, value in enumerate(celsius):
        before = governor.number
        governor(Readings(value), second * 10.0)
        assert abs(governor.number - before) <= 1
        assert 0 <= governor.number < len(LEVELS)


@given(st.sampled_from([level.frame_rate for level in LEVELS]), st.integers(1, 500))
def test_the_gate_passes_a_share_of_the_frames_evenly_and_counts_the_others(
    share: float, count: int
) -> None:
    gate = FrameGate(lambda: share)
    passed = sum(gate.passes() for _ in range(count))
    assert abs(passed - count * share) < 1
    assert gate.skipped == count - passed


def test_the_scheduler_spends_only_its_share_of_the_budget() -> None:
    spent = {}
    for share in (1.0, 0.25):
        scheduler = Scheduler(SchedulerSettings(invocations_per_s=4, burst=3))
        spent[share] = 0
        for frame in range(25 * 60):
            now_ns = frame * NS_PER_S // 25
            plan = scheduler.plan(now_ns, NO_BLOBS, NO_ACTIVITY, (), budget_share=share)
            scheduler.report(now_ns, plan.invocations)
            spent[share] += plan.invocations
    assert spent[1.0] == pytest.approx(4 * 60, abs=2)
    assert spent[0.25] == pytest.approx(60, abs=2)


def test_a_higher_level_never_leaves_more_work() -> None:
    rows = [dataclasses.astuple(level) for level in LEVELS]
    assert rows[0] == (1, 1)
    assert all(a >= b for row, after in itertools.pairwise(rows)
               for a, b in zip(row, after, strict=True))  # fmt: skip


def test_a_computer_without_a_name_has_none(tmp_path: Path) -> None:
    assert board(tmp_path) == ""
    (tmp_path / BOARD).parent.mkdir(parents=True)
    (tmp_path / BOARD).write_bytes(b"Raspberry Pi 4 Model B Rev 1.5\0")
    assert board(tmp_path) == "Raspberry Pi 4 Model B Rev 1.5"
