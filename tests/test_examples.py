"""The examples, run as a reader would run them, against a running daemon."""

from __future__ import annotations

import os
import select
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BIN = Path(sys.executable).parent


def daemon(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "run", "--source", "synthetic:visits?duration=0&fps=10",
         "--capture-dir", folder, "--endpoint", f"ipc://{folder}/e.ipc",
         "--set", "triggers=[{name='visitor', labels=['person'], cooldown_s=0.5, "
         "once_per_track=false, actions=[]}]"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("daemon")
    process = daemon(folder)
    yield f"ipc://{folder}/e.ipc"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example and what npm installs for it."""
    folder = tmp_path_factory.mktemp("node")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NO NODE.JS: examples/subscriber.mjs was not run")
    for name in ("subscriber.mjs", "package.json"):
        shutil.copy(EXAMPLES / name, folder)
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"NPM FAILED: examples/subscriber.mjs was not run: {installed.stderr[-200:]}")
    return folder


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


def test_node(endpoint: str, node: Path, tmp_path: Path) -> None:
    with running("node", "subscriber.mjs", endpoint, tmp_path, cwd=node) as process:
        assert [line.split()[:2] for line in lines(process, 2)] == [["visitor:", "person"]] * 2
        assert not interrupted(process)
    assert process.returncode == 0
    check_pictures(tmp_path)


def wait_for(process: subprocess.Popen[str], text: str, timeout_s: float = 90) -> None:
    """Reads what the process prints until `text` has come."""
    assert process.stdout is not None
    shown, deadline_s = "", time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while text not in shown:
            assert selector.select(max(0, deadline_s - time.monotonic())), (
                f"{text} is not in {shown}"
            )
            data = os.read(process.stdout.fileno(), 10_000)
            assert data, f"the program ended after {shown}"
            shown += data.decode()


def drain(process: subprocess.Popen[str]) -> None:
    """Reads and forgets what the process has printed."""
    assert process.stdout is not None
    while select.select([process.stdout], [], [], 0.3)[0]:
        assert os.read(process.stdout.fileno(), 10_000), "the program ended with the daemon"


def test_they_wait_for_the_daemon_and_survive_its_end(node: Path, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/e.ipc"
    programs = {
        (sys.executable, EXAMPLES / "subscriber.py", address, tmp_path): "visitor: person",
        (sys.executable, EXAMPLES / "subscriber_asyncio.py", address): "trigger visitor: person",
        ("node", node / "subscriber.mjs", address, tmp_path): "visitor: person",
    }
    if shutil.which("jq"):
        programs[EXAMPLES / "subscriber.sh", address] = "\tvisitor\tperson\t"
    with ExitStack() as stack:
        started = [(stack.enter_context(running(*c)), text) for c, text in programs.items()]
        for ending in (signal.SIGKILL, signal.SIGTERM):
            publisher = daemon(tmp_path)
            stack.callback(publisher.kill)
            for process, text in started:
                wait_for(process, text)
            publisher.send_signal(ending)
            publisher.wait(20)
            for process, _ in started:
                drain(process)
