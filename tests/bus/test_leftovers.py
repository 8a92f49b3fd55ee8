"""The files of local sockets: a daemon removes its own, and those of a killed one do not matter."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge.bus.presence import listens
from edge.bus.publisher import Publisher
from edge.config.schema import BusSettings
from edge.errors import BusError
from edge.runtime.files import open_lock
from edge.runtime.open_files import open_soon


def daemon(folder: Path) -> subprocess.Popen[bytes]:
    """A daemon that listens, in a folder without other files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "run", "--source", "synthetic:still?duration=0",
         "--endpoint", f"ipc://{folder}/bus", "--capture-dir", f"{folder}/captures",
         "--set", "triggers=[]"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline_s = time.monotonic() + 60
    while not listens(f"ipc://{folder}/bus-control"):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return process


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "captures")


def test_nothing_is_left_at_the_end_and_a_killed_daemon_hinders_no_start(tmp_path: Path) -> None:
    killed = daemon(tmp_path)
    all_files = ["bus", "bus-control", "bus-control.lock", "bus.lock"]
    assert files(tmp_path) == all_files
    killed.kill()
    killed.wait()
    assert files(tmp_path) == all_files
    (tmp_path / "bus").rename(tmp_path / "bus.closed")  # it was killed during a flood
    following = daemon(tmp_path)
    following.terminate()
    assert following.wait(60) == 0
    assert files(tmp_path) == []


def test_a_second_one_is_refused_and_leaves_the_files_of_the_first(tmp_path: Path) -> None:
    settings = BusSettings(endpoint=f"ipc://{tmp_path}/bus")
    first, second = Publisher(settings, "cam0", "b1"), Publisher(settings, "cam0", "b2")
    first.start()
    with pytest.raises(BusError, match="another daemon uses this address"):
        second.start()
    assert files(tmp_path) == ["bus", "bus.lock"]
    assert listens(settings.endpoint)
    first.stop()
    assert files(tmp_path) == []


def test_a_lock_that_is_deleted_while_it_is_taken_is_not_held_by_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the file is locked, its holder deletes it, and another process locks a new one."""
    path = tmp_path / "lock"
    holder = open_lock(path)
    taken: list[Any] = []

    def opened_just_before_the_end(*arguments: Any) -> int:
        descriptor = open_soon(*arguments)
        if not taken:
            taken.append(None)
            path.unlink()
            holder.close()
            taken[0] = open_lock(path)
        return descriptor

    monkeypatch.setattr("edge.runtime.files.open_soon", opened_just_before_the_end)
    with pytest.raises(BlockingIOError):
        open_lock(path)
    taken[0].close()
    open_lock(path).close()
