"""A real daemon and `edge view`, each a process, and an HTTP client for the view."""

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
uri = "synthetic:visits?duration=0&fps=10"   # drawn people, one after another

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
    """Places of the files of daemon and view. file: the configuration. port: of the page."""

    def __init__(self, folder: Path, port: int) -> None:
        self.file = folder / "edge.toml"
        self.endpoint = f"ipc://{folder}/e.ipc"
        self.captures = folder / "captures" / "gate"
        self.port = port

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends the path unchanged, headers with `-` for `_`, and the body as JSON or bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} | sent
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        with contextlib.closing(connection):
            return response.status, received, response.read()

    def json(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        status, _, data = self.ask(method, path, body, **headers)
        assert status == 200, data
        return json.loads(data)


@contextlib.contextmanager
def viewed(folder: Path, *options: str, text: str = CONFIGURATION) -> Iterator[Viewed]:
    """A daemon and a view that has a picture of it; both must end without an error.

    options: of `edge view`.
    """
    (folder / "edge.toml").write_text(text)
    with daemon(folder), view(folder, *options) as port:
        viewed = Viewed(folder, port)
        headers = {}
        if "--token-file" in options:
            token = Path(options[options.index("--token-file") + 1]).read_text().strip()
            headers["Authorization"] = f"Bearer {token}"
        until(lambda: viewed.ask("GET", "/api/frame", **headers)[0] == 200)
        yield viewed


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[None]:
    command = [*EDGE, "run", "--no-live", "--config", folder / "edge.toml",
               "--endpoint", f"ipc://{folder}/e.ipc"]  # fmt: skip
    with process_of([str(part) for part in command], folder):
        yield


@contextlib.contextmanager
def view(folder: Path, *options: str) -> Iterator[int]:
    """Gives the port of the address that the view prints."""
    command = [*EDGE, "view", "--config", str(folder / "edge.toml"), "--listen", "127.0.0.1:0"]
    command += ["--endpoint", f"ipc://{folder}/e.ipc-control", *options]
    with process_of(command, folder) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), process.communicate()
        yield int(address.removesuffix("/").rpartition(":")[2])


@contextlib.contextmanager
def process_of(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Runs a command, ends it with SIGTERM, and fails unless it ends without an error."""
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors


def until(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Waits for a condition; fails after `timeout_s`."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, f"not reached within {timeout_s:g} s"
        time.sleep(0.05)
