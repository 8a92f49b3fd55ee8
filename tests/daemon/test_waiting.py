"""`edge run` with a source that is not there at the start, under a service manager."""

from __future__ import annotations

import http.server
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.config.load import load
from edge.daemon.service import Service
from edge.errors import SourceError
from edge.messages import AnyMessage, Health
from tests.daemon.test_service import Daemon, health_of

CONFIG = """
[source]
uri = "{uri}"
retry_max_s = 0.5
[capture]
directory = "{folder}/captures"
min_free_bytes = 0
[bus]
endpoint = "ipc://{folder}/e.ipc"
[health]
interval_s = 0.2
stall_s = 1
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mjpeg(http.server.BaseHTTPRequestHandler):
    """An MJPEG camera; `/missing` is not found."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for level in range(10**4):
            if getattr(self.server, "gone", False):
                return
            data = cv2.imencode(".jpg", np.full((120, 160, 3), level % 200, np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        pass


class Silent(socketserver.BaseRequestHandler):
    """Accepts a connection and never answers."""

    def handle(self) -> None:
        while self.request.recv(4096):
            pass


@contextmanager
def serving(handler: type[socketserver.BaseRequestHandler], port: int = 0) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.gone = True  # type: ignore[attr-defined]  # for the replies that are being sent
        server.shutdown()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Daemon]]:
    started: list[Daemon] = []

    def start(uri: str) -> Daemon:
        config = CONFIG.replace("{uri}", uri)
        monkeypatch.setattr("tests.daemon.test_service.CONFIG", config)
        started.append(Daemon(tmp_path))
        return started[-1]

    yield start
    for daemon in started:
        daemon.process.kill()
        daemon.process.wait()


def is_waiting(health: Health) -> bool:
    return health.state == "starting" and "waiting for the source" in " ".join(health.problems)


def test_a_refused_stream_is_waited_for_and_watched_when_it_comes(
    run: Callable[[str], Daemon],
) -> None:
    port = free_port()
    daemon = run(f"http://127.0.0.1:{port}/")
    assert "waiting for http" in daemon.wait_for("READY=1")[-1]
    for _ in range(3):  # without a frame, in a wait longer than the watchdog's interval
        daemon.wait_for("WATCHDOG=1")
    health = health_of(daemon, is_waiting)
    assert "refused" in " ".join(health.problems)
    with serving(Mjpeg, port):
        health_of(daemon, lambda health: health.state != "starting" and health.frames > 0)
    start_s = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    assert time.monotonic() - start_s < 4
    lines = [line["msg"] for line in daemon.logged()]
    watching = next(n for n, line in enumerate(lines) if line.startswith("watching http"))
    assert lines.index(f"waiting for http://127.0.0.1:{port}/") < watching


def test_the_watchdog_is_fed_while_a_lost_source_is_waited_for(
    run: Callable[[str], Daemon],
) -> None:
    port = free_port()
    with serving(Mjpeg, port):
        daemon = run(f"http://127.0.0.1:{port}/")
        health_of(daemon, lambda health: health.frames > 0)
    lost = health_of(daemon, lambda health: "waiting for the source" in " ".join(health.problems))
    daemon.forget_notifications()
    for _ in range(3):
        daemon.wait_for("WATCHDOG=1")
    now = health_of(daemon, lambda health: health.header.sequence > lost.header.sequence)
    assert now.frames == lost.frames
    assert daemon.process.poll() is None


@pytest.mark.parametrize("uri", [
    "http://127.0.0.1:{port}/missing", "http://host.invalid/", "/dev/video97",
    "http://127.0.0.1:{silent}/", "rtsp://127.0.0.1:{silent}/",
])  # fmt: skip
def test_each_kind_of_missing_source_is_waited_for_and_a_stop_ends_the_wait(
    tmp_path: Path, uri: str
) -> None:
    waiting: list[Health] = []

    def listen(message: AnyMessage) -> None:
        if isinstance(message, Health) and is_waiting(message):
            waiting.append(message)
            service.stop()

    with serving(Mjpeg) as port, serving(Silent) as silent:
        service = Service(
            load(None, {
                "source.uri": uri.format(port=port, silent=silent), "source.retry_max_s": 0.5,
                "bus.endpoint": f"ipc://{tmp_path}/e.ipc", "capture.directory": str(tmp_path),
                "health.interval_s": 0.1, "health.stall_s": 0.5,
            }),
            listener=listen,
        )  # fmt: skip
        deadline = threading.Timer(30, service.stop)
        deadline.start()
        service.run()
        deadline.cancel()
    assert waiting


@pytest.mark.parametrize(
    "uri", ["rtspx://camera/", "missing.mp4", "http://", "http://[bad/", "rtsp://camera:99999/"]
)
def test_a_source_that_can_never_work_ends_at_once(tmp_path: Path, uri: str) -> None:
    settings = load(None, {
        "source.uri": uri, "bus.endpoint": f"ipc://{tmp_path}/e.ipc",
        "capture.directory": str(tmp_path),
    })  # fmt: skip
    with pytest.raises(SourceError, match="source "):
        Service(settings).run()
