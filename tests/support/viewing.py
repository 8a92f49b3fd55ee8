"""A real daemon and `edge view` of it, each a process, and HTTP to the latter."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

EDGE = [sys.executable, "-m", "edge.cli"]
WAIT_S = 60.0
CONFIGURATION = """\
# The gate, seen from the house.
camera = "gate"

[source]
uri = "synthetic:visits?duration=0"   # drawn people, one after another

[motion]
# what `edge init` writes for each key:
#floor = 14.0
sensitivity = 1.0  # tuned in spring
masks = [
  [[0.0, 0.0], [0.2, 0.0], [0.2, 0.1]],  # the tree
]

# where one walks
[[zones]]
name = "path"
polygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]  # left half

[[triggers]]
name = "visitor"
labels = ["person"]
cooldown_s = 0.5
actions = ["still"]

[capture]
post_roll_s = 0.5
"""


class Viewed:
    """Where they are: `file` is the configuration, `port` that of the page."""

    def __init__(self, folder: Path, port: int) -> None:
        self.file = folder / "edge.toml"
        self.endpoint = f"ipc://{folder}/e.ipc"
        self.captures = folder / "captures" / "gate"
        self.port = port

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """The path goes as it stands, and headers with `_` for `-`; body as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            named = {"Content-Type": "application/json"} | named
        connection.request(method, path, data, named)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        with contextlib.closing(connection):
            return answer.status, told, answer.read()

    def json(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        status, _, told = self.ask(method, path, body, **headers)
        assert status == 200, told
        return json.loads(told)


@contextlib.contextmanager
def viewed(folder: Path, *options: str, text: str = CONFIGURATION) -> Iterator[Viewed]:
    """`options` are those of `edge view`. Both must end well."""
    (folder / "edge.toml").write_text(text)
    with daemon(folder), view(folder, *options) as port:
        there = Viewed(folder, port)
        headers = {}
        if "--token-file" in options:
            token = Path(options[options.index("--token-file") + 1]).read_text().strip()
            headers["Authorization"] = f"Bearer {token}"
        until(lambda: there.ask("GET", "/api/frame", **headers)[0] == 200)
        yield there


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[None]:
    command = [*EDGE, "run", "--no-live", "--config", folder / "edge.toml",
               "--endpoint", f"ipc://{folder}/e.ipc"]  # fmt: skip
    with ended_well([str(part) for part in command], folder):
        yield


@contextlib.contextmanager
def view(folder: Path, *options: str) -> Iterator[int]:
    """The port that it tells."""
    command = [*EDGE, "view", "--config", str(folder / "edge.toml"), "--listen", "127.0.0.1:0"]
    command += ["--endpoint", f"ipc://{folder}/e.ipc-control", *options]
    with ended_well(command, folder) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), process.communicate()
        yield int(address.removesuffix("/").rpartition(":")[2])


@contextlib.contextmanager
def ended_well(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    assert "Traceback" not in told, told


def until(holds: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "it never was so"
        time.sleep(0.05)
