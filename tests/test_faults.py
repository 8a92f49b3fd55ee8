"""A few faults of the matrix (`make fault`): a real daemon must notice each and recover."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edge.messages import Health
from tests.faults.disk import small_disk
from tests.faults.host import CONFIG, Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    quick = CONFIG.replace("stall_s = 1.0", "stall_s = 0.5").replace("hang_s = 3.0", "hang_s = 1.5")
    started = Host(tmp_path, quick)
    assert started.works()
    yield started
    started.abandon()


def test_a_source_that_hangs_is_reopened_and_heat_is_reported(host: Host) -> None:
    host.inject("source-hang")
    assert host.wait_for(lambda health: "source" in health.stalled)
    assert host.wait_for(lambda health: health.source_restarts == 1)
    assert host.works()
    host.inject("hot")
    assert host.wait_for(lambda health: health.governor_level > 0 and health.budget_share < 1)
    assert host.starts == 1
    assert host.stop() == 0
    assert host.missing == host.dropped_messages == 0
    assert not host.damaged_files()
    assert not host.temporary_files()


def test_a_stage_that_hangs_is_reported_and_ends_the_process(host: Host) -> None:
    host.watchdog_s = 60  # the daemon must end by itself
    host.inject("invoke-hang")
    assert host.wait_for(lambda health: "inference" in health.stalled)
    assert host.wait_for_exits(1)
    assert host.exit_codes[0] in (1, 70)  # 70: the shutdown hung too
    assert host.works()


def test_an_exception_in_a_thread_ends_the_process(host: Host) -> None:
    host.inject("invoke-exception")
    assert host.wait_for_exits(1)
    assert host.exit_codes == [70]
    assert host.works()


def test_sigkill_during_a_clip_leaves_no_damaged_file(host: Host) -> None:
    while not host.temporary_files():
        assert host.process.poll() is None
        time.sleep(0.01)
    host.kill(signal.SIGKILL)
    assert host.works()
    assert host.exit_codes == [-signal.SIGKILL]
    assert not host.damaged_files()
    assert host.stop() == 0
    assert not host.temporary_files()


def _reports_full_disk(health: Health) -> bool:
    return any("disk is full" in text or "no room" in text for text in health.problems)


def test_a_full_disk_is_reported_and_captures_resume(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        if disk is None:
            pytest.skip("NO ROOT: a small disk can't be mounted; this test was not run")
        host = Host(tmp_path)
        assert host.works()
        with disk.failing("disk-full"):
            assert host.wait_for(_reports_full_disk)
            assert host.works()
        captures = host.captures
        assert host.wait_for(lambda _: host.captures > captures)
        assert host.starts == 1
        assert host.stop() == 0
        assert not host.damaged_files()
