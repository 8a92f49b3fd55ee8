"""Another user of the machine, who is not in the group of the service, is told how to join it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: permissions of another user")
ADM = 4  # a group whose number Debian fixes, as that of nobody, 65534
# Root runs the command first, as the other user may not read the modules that it imports.
AS_NOBODY = """
import contextlib, io, os
import edge.cli, edge.runtime.permission
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    with contextlib.suppress(SystemExit):
        edge.cli.main()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
edge.cli.main()
"""
JOIN = "sudo adduser $USER adm, then log in again"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, with the socket and the file of a service's group."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "captures").mkdir()
        (folder / "cam0.toml").write_text(
            f"[bus]\nendpoint = 'ipc://{folder}/bus'\n"
            f"[source]\nuri = 'synthetic:still'\n[capture]\ndirectory = '{folder}/captures'\n"
        )
        for name in ("bus", "bus-control"):
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(folder / name))
            os.chown(folder / name, 0, ADM)
            (folder / name).chmod(0o660)
        yield folder


def as_nobody(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments], capture_output=True, text=True, timeout=60,
        cwd=folder, env=os.environ | {"HOME": "/nonexistent"},
    )  # fmt: skip


def test_a_socket_of_another_group_is_one_sentence(folder: Path) -> None:
    done = as_nobody(folder, "watch", "--timeout", "0.1", "--config", f"{folder}/cam0.toml")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "permission denied" in done.stderr
    assert done.stderr.endswith(f"{JOIN}\n")


def test_a_configuration_of_another_group_is_one_sentence(folder: Path) -> None:
    file = folder / "cam0.toml"
    os.chown(file, 0, ADM)
    file.chmod(0o640)
    done = as_nobody(folder, "check-config", str(file))
    assert done.returncode == 2
    assert f"edge: configuration {file}: Permission denied: {JOIN}\n" in done.stderr


def test_doctor_names_the_group_and_leaves_the_captures_of_the_service_alone(folder: Path) -> None:
    os.chown(folder / "captures", 1, ADM)
    done = as_nobody(folder, "doctor", "--json", "--config", f"{folder}/cam0.toml")
    assert done.returncode == 1, done.stderr
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert (found["endpoint"]["state"], found["endpoint"]["fix"]) == ("fail", JOIN)
    assert found["captures"]["state"] == "skip"
    assert found["captures"]["fix"] == "check it with: sudo edge doctor"
