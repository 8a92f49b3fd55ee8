"""The examples, run as a reader would run them, against a running daemon."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("daemon")
    address = f"ipc://{folder}/e.ipc"
    daemon = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "run", "--source", "synthetic:visits?duration=0",
         "--capture-dir", folder, "--endpoint", address,
         "--set", "triggers=[{name='visitor', labels=['person'], cooldown_s=0.5, "
         "once_per_track=false, actions=[]}]"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    yield address
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0


@contextmanager
def running(*command: object, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.communicate()


def lines(process: subprocess.Popen[str], count: int, timeout_s: float = 20) -> list[str]:
    """The first `count` lines that the process prints; fewer when the time is over."""
    assert process.stdout is not None
    printed: list[str] = []
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(printed) < count and selector.select(timeout_s):
            if not (line := process.stdout.readline()):
                break
            printed.append(line.rstrip("\n"))
    return printed


def interrupted(process: subprocess.Popen[str]) -> str:
    """Sends Ctrl-C as a terminal does, to the whole group; returns standard error."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=10)[1]


def check_pictures(folder: Path) -> None:
    jpegs = list(folder.glob("*.jpg"))
    assert jpegs
    for path in jpegs:
        assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR).size


def test_python(endpoint: str, tmp_path: Path) -> None:
    with running(sys.executable, EXAMPLES / "subscriber.py", endpoint, tmp_path) as process:
        assert [line.split()[:2] for line in lines(process, 2)] == [["visitor:", "person"]] * 2
        assert not interrupted(process)
    assert process.returncode == 0
    check_pictures(tmp_path)


def test_asyncio(endpoint: str) -> None:
    with running(sys.executable, EXAMPLES / "subscriber_asyncio.py", endpoint) as process:
        kinds: set[str] = set()
        for _ in range(6):
            kinds |= {line.split()[0] for line in lines(process, 1)}
            if kinds == {"trigger", "health"}:
                break
        assert kinds == {"trigger", "health"}
        assert not interrupted(process)
    assert process.returncode == 0


def test_shell(endpoint: str) -> None:
    if shutil.which("jq") is None:
        pytest.skip("NO JQ: examples/subscriber.sh was not run")
    with running(EXAMPLES / "subscriber.sh", endpoint) as process:
        (line,) = lines(process, 1)
    time, rule, label, score = line.split("\t")
    assert (rule, label) == ("visitor", "person")
    assert time.endswith("Z")
    assert 0.5 <= float(score) <= 1


def test_node(endpoint: str, tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NO NODE.JS: examples/subscriber.mjs was not run")
    for name in ("subscriber.mjs", "package.json"):
        shutil.copy(EXAMPLES / name, tmp_path)
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"NPM FAILED: examples/subscriber.mjs was not run: {installed.stderr[-200:]}")
    (tmp_path / "out").mkdir()
    with running("node", "subscriber.mjs", endpoint, "out", cwd=tmp_path) as process:
        assert [line.split()[:2] for line in lines(process, 2)] == [["visitor:", "person"]] * 2
        assert not interrupted(process)
    assert process.returncode == 0
    check_pictures(tmp_path / "out")
