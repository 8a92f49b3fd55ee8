"""The user name and the password of a stream stay in the configuration file."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from edge.client import Control, Subscriber
from edge.config.schema import SourceSettings
from edge.errors import EdgeError
from edge.messages import Health
from edge.sources import open_source

EDGE = [sys.executable, "-m", "edge.cli"]
USER, PASSWORD, TOKEN = "grace-hopper", "s3cret-w0rd", "t0ken-of-hers"
SECRETS = (USER, PASSWORD, TOKEN)


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[int]:
    """The port of a stream that breaks off every second, so that losses are reported too."""
    film = tmp_path / "film.ts"
    with av.open(str(film), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(20):
            image = np.full((240, 320, 3), 5 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    data = film.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)
            time.sleep(0.5)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def configuration(folder: Path, port: int) -> Path:
    path = folder / "edge.toml"
    uri = f"http://{USER}:{PASSWORD}@127.0.0.1:{port}/live.ts?token={TOKEN}"
    path.write_text(
        f"""[source]
uri = "{uri}"
retry_max_s = 0.2
[capture]
directory = "{folder}/captures"
min_free_bytes = 0
[bus]
endpoint = "ipc://{folder}/e.ipc"
[health]
interval_s = 0.2
"""
    )
    return path


def run(*arguments: object) -> str:
    """Everything that a command prints."""
    command = [*EDGE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_running_daemon_shows_no_credentials(
    camera: int, tmp_path: Path, log_format: str
) -> None:
    config = configuration(tmp_path, camera)
    with (tmp_path / "log").open("w") as log:
        daemon = subprocess.Popen(
            [*EDGE, "run", "--config", str(config), "--log-format", log_format, "--verbose"],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    received, restarts, deadline_s = "", 0, time.monotonic() + 40
    try:
        with Subscriber(f"ipc://{tmp_path}/e.ipc") as subscriber:
            while restarts < 1 and time.monotonic() < deadline_s:
                event = subscriber.receive(1)
                if event is not None:
                    received += event.topic + msgspec.json.encode(event.message).decode()
                    if isinstance(event.message, Health):
                        restarts = event.message.source_restarts
        with Control(f"ipc://{tmp_path}/e.ipc-control") as control:
            received += msgspec.json.encode(control.status()).decode()
        received += run("ctl", "status", "--config", config)
    finally:
        daemon.terminate()
        daemon.wait(20)
    logged = (tmp_path / "log").read_text()
    assert restarts, logged
    assert "***@127.0.0.1" in received
    assert "***@127.0.0.1" in logged
    assert leaks(received) == leaks(logged) == []


def test_commands_show_no_credentials(camera: int, tmp_path: Path) -> None:
    config = configuration(tmp_path, camera)
    rotated = tmp_path / "rotated.toml"
    rotated.write_text(config.read_text().replace("retry", "upside_down = true\nretry"))
    commands: dict[str, list[object]] = {
        "doctor": ["doctor", "--config", config],
        "doctor --json": ["doctor", "--json", "--config", config],
        "config show": ["config", "show", "--config", config],
        "check-config": ["check-config", rotated],
        "unreachable": [
            "doctor", "--set", f"source.uri=http://{USER}:{PASSWORD}@127.0.0.1:9/?token={TOKEN}"
        ],
        "unknown": ["run", "--source", f"rstp://{USER}:{PASSWORD}@127.0.0.1/?token={TOKEN}"],
        "replay": ["replay", f"RTSP://{USER}:{PASSWORD}@127.0.0.1:9/live?token={TOKEN}"],
        "snapshot": [
            "doctor", "--set", "source.snapshot_every_s=1",
            "--set", f"source.uri=http://{USER}:{PASSWORD}@127.0.0.1:9/?token={TOKEN}",
        ],
        "init": [
            "init", tmp_path / "new.toml", "-y", "--no-doctor", "--no-trial", "--source",
            f"rtsp://{USER}:{PASSWORD}@127.0.0.1:9/live?token={TOKEN}",
        ],
    }  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        outputs = dict(
            zip(commands, pool.map(lambda words: run(*words), commands.values()), strict=True)
        )
    assert {name: found for name, text in outputs.items() if (found := leaks(text))} == {}
    shown = [name for name, text in outputs.items() if "***@127.0.0.1" in text]
    assert set(shown) == set(outputs), outputs


@pytest.mark.parametrize("scheme", ["RTSP", "rtsps", "rtmp", "tcp", "udp", "rtp", "srt", "https"])
def test_no_scheme_shows_credentials_in_its_error_or_its_name(scheme: str) -> None:
    uri = f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:9/live?token={TOKEN}"
    settings = SourceSettings(uri=uri)
    with pytest.raises(EdgeError) as failed:
        open_source(settings, stall_s=0.2).open()
    assert leaks(f"{failed.value} {settings.name}") == []
    assert "***@127.0.0.1" in str(failed.value)


def test_a_still_picture_camera_shows_no_credentials(camera: int) -> None:
    """It answers with a video, which is no picture."""
    uri = f"http://{USER}:{PASSWORD}@127.0.0.1:{camera}/?token={TOKEN}"
    with pytest.raises(EdgeError) as failed:
        open_source(SourceSettings(uri=uri, snapshot_every_s=1.0), stall_s=2.0).open()
    assert leaks(str(failed.value)) == []
    assert "***@127.0.0.1" in str(failed.value)
