"""The commands find the installed instance, a missing daemon and a missing permission at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.bus.presence import listens
from edge.config import instances
from edge.config.instances import find
from edge.errors import BusError, ConfigError

EDGE = [sys.executable, "-m", "edge.cli"]


def edge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "EDGE_CONFIG"}
    return subprocess.run(
        [*EDGE, *arguments], capture_output=True, text=True, timeout=30, cwd=folder, env=environment
    )  # fmt: skip


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "cam0.toml").touch()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("EDGE_CONFIG", raising=False)
    monkeypatch.setattr(instances, "INSTALLED", folder)
    return folder


def test_one_instance_is_used_and_several_are_named(installed: Path) -> None:
    assert find() == installed / "cam0.toml"
    (installed / "cam1.toml").touch()
    with pytest.raises(ConfigError, match=r"cam0, cam1.*--camera cam0"):
        find()
    assert find("cam1") == installed / "cam1.toml"
    with pytest.raises(ConfigError, match="installed: cam0, cam1"):
        find("cam2")


def test_the_working_folder_wins_over_instances_but_not_over_a_name(installed: Path) -> None:
    Path("edge.toml").touch()
    assert find() == Path("edge.toml")
    assert find("cam0") == installed / "cam0.toml"


def test_no_daemon_is_reported_at_once_and_without_keys(tmp_path: Path) -> None:
    for kind in ("nothing", "left"):
        path = tmp_path / kind
        if kind == "left":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        begin_s = time.monotonic()
        done = edge(tmp_path, "ctl", "status", "--endpoint", f"ipc://{path}")
        assert time.monotonic() - begin_s < 5, "the limit of a reply is 10 s"
        assert done.returncode == 1
        assert done.stderr.startswith(f"edge: no daemon listens at ipc://{path}")
        assert "key" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: permissions of another user")
def test_a_missing_permission_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()
        os.chown(path, 0, 4)  # the group adm
        path.chmod(0o660)
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(BusError, match="permission denied"):
                listens(f"ipc://{path}")
        finally:
            os.seteuid(0)


def test_watch_reports_that_it_waits(tmp_path: Path) -> None:
    done = edge(tmp_path, "watch", "--timeout", "0.1", "--endpoint", f"ipc://{tmp_path}/x")
    assert "waiting for the first message of" in done.stderr
    assert "no daemon listens there yet" in done.stderr


def test_unknown_commands_and_keys_get_an_answer(tmp_path: Path) -> None:
    done = edge(tmp_path, "wacth")
    assert (done.returncode, "did you mean watch?" in done.stderr) == (2, True)
    assert "cooldown_s" in edge(tmp_path, "config", "explain", "cooldown").stdout


def test_check_config_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").touch()
    assert edge(tmp_path, "check-config").stdout.startswith("edge.toml: ")


def test_doctor_examines_no_built_in_defaults(tmp_path: Path) -> None:
    if Path("/etc/edge").exists():
        pytest.skip("INSTALLED: this machine has instances of its own")
    done = edge(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert '"configuration","state":"skip"' in done.stdout
    assert '"name":"source"' not in done.stdout
