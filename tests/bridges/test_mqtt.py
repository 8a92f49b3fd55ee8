"""The MQTT bridge with a real broker, real sockets and simulated cameras."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.bridges.forward import FORWARDED, Forwarder
from edge.bridges.mqtt import Broker
from edge.bridges.spool import Spool
from edge.bridges.topics import Topics
from edge.bus.publisher import Publisher
from edge.client import Control, Subscriber
from edge.config.load import load
from edge.config.schema import Settings
from edge.errors import ConfigError, PermanentError
from edge.messages import (
    AnyMessage,
    Capture,
    Crossing,
    Health,
    LineToday,
    Presence,
    Stay,
    Trigger,
    ZoneToday,
)
from tests.support.mosquitto import BINARY, Mosquitto

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "edge-mqtt@.service"
needs_mosquitto = pytest.mark.skipif(
    BINARY is None, reason="NO MOSQUITTO: apt-get install mosquitto; the bridge was not tested"
)


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return False


class Listener:
    """A subscriber to everything, whose session the broker keeps."""

    def __init__(self, port: int, setup: Callable[[paho.Client], object] | None = None) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        if setup is not None:
            setup(self._client)
        self._client.reconnect_delay_set(1, 1)
        self._subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _d, m: self.received.append(
            (m.topic, bytes(m.payload), m.retain)
        )
        self._client.connect("localhost", port)
        self._client.loop_start()
        assert self._subscribed.wait(5)

    def send(self, topic: str, body: str) -> None:
        self._client.publish(topic, body, qos=1).wait_for_publish(5)

    def last(self, topic: str) -> bytes | None:
        return next((body for name, body, _ in reversed(self.received) if name == topic), None)

    def triggers(self) -> list[str]:
        return [
            json.loads(body)["event_id"]
            for topic, body, _ in self.received
            if topic.split("/")[2] == "trigger"
        ]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    listener = Listener(broker.port)
    yield listener
    listener.close()


def settings_of(folder: Path, camera: str, port: int, **more: object) -> Settings:
    named = {key.replace("__", "."): value for key, value in more.items()}
    return load(Path("/dev/null"), {
        "camera": camera, "bus.endpoint": f"ipc://{folder}/{camera}.ipc",
        "capture.directory": str(folder), "mqtt.port": port,
        "mqtt.scene_width_px": 0,  # no daemon answers
        **named,
    })  # fmt: skip


class Camera:
    """A simulated daemon: its bus, and nothing behind it."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.camera
        self._publisher = Publisher(settings.bus, settings.camera, "boot")
        self._publisher.start()
        self.sent: list[str] = []

    def trigger(self, rule: str = "person", jpeg: bytes | None = None) -> None:
        self.sent.append(f"{self.name}-{len(self.sent)}")
        self._publish(Trigger(
            event_id=self.sent[-1], rule=rule, zones=(), track_id=1, label="person", score=0.9,
            box=(0, 0, 1, 1), box_px=(0, 0, 9, 9), frame_index=1, latency_ms=9.0, captures=(),
        ), jpeg)  # fmt: skip

    def failed_capture(self, reason: str) -> None:
        self._publish(Capture(
            event_ids=("e",), rule="person", capture="clip", path="", sidecar="", size_bytes=0,
            failure=reason,
        ))  # fmt: skip

    def presence(
        self,
        rules: dict[str, int],
        zones: dict[str, ZoneToday] | None = None,
        lines: dict[str, LineToday] | None = None,
    ) -> None:
        self._publish(Presence(rules=rules, zones=zones or {}, lines=lines or {}))

    def crossing(self) -> None:
        self._publish(Crossing(
            line="gate", direction="in", track_id=1, label="person", today_in=3, today_out=2
        ))  # fmt: skip

    def stay(self) -> None:
        self._publish(Stay(zone="pond", track_id=1, label="person", duration_s=4.5))

    def health(self, state: str = "running", *, paused: bool = False) -> None:
        self._publish(Health(
            state=state, source="s", model="m", uptime_s=1, fps=9.5, frames=1, invocations=1,  # type: ignore[arg-type]
            invocations_per_s=1, inference_ms=1, tracks=0, triggers=0, captures=0, dropped={},
            rss_bytes=1, temperature_c=None, disk_free_bytes=12_000_000_000, problems=(),
            paused=paused,
        ))  # fmt: skip

    def stop(self) -> None:
        self._publisher.stop()

    def _publish(self, message: AnyMessage, jpeg: bytes | None = None) -> None:
        self._publisher.publish(message, time.monotonic_ns(), time.time_ns(), jpeg)


@contextmanager
def bridged(settings: Settings) -> Iterator[Spool]:
    """Runs a bridge in a thread; yields its spool."""
    stop, started = threading.Event(), threading.Event()
    spools: list[Spool] = []
    error: list[BaseException] = []

    def run() -> None:
        topics = Topics(settings.mqtt.prefix, settings.camera)
        broker = Broker(settings.mqtt, f"edge-{settings.camera}", topics.availability)
        spool = Spool(Path(settings.capture.directory, f"{settings.camera}.sqlite"), 1_000_000)
        spools.append(spool)
        endpoint = settings.bus.endpoint
        with Subscriber(endpoint, FORWARDED) as subscriber:
            forwarder = Forwarder(
                settings, subscriber, broker, spool,
                lambda: Control(f"{endpoint}-control", timeout_s=1),
            )  # fmt: skip
            forwarder.start()
            started.set()
            while not stop.is_set():
                forwarder.step()
            broker.stop()

    def guarded() -> None:
        try:
            run()
        except BaseException as caught:
            error.append(caught)
            started.set()

    thread = threading.Thread(target=guarded)
    thread.start()
    started.wait(5)
    try:
        yield spools[0]
    finally:
        stop.set()
        thread.join(10)
        if error:
            raise error[0]


@needs_mosquitto
def test_a_camera_is_published_to_the_broker(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port)
    camera = Camera(settings)
    with bridged(settings):
        until(lambda: camera.health() or listener.last("edge/cam0/availability") == b"online")
        camera.trigger(jpeg=b"\xff\xd8jpeg")
        assert until(lambda: listener.last("edge/cam0/image") == b"\xff\xd8jpeg")
        assert until(lambda: listener.triggers() == ["cam0-0"])
        camera.failed_capture("the disk is full")
        assert until(lambda: listener.last("edge/cam0/capture/person"))
        failed = json.loads(listener.last("edge/cam0/capture/person") or b"")
        assert (failed["failure"], failed["path"]) == ("the disk is full", "")
        camera.health(paused=True)
        assert until(lambda: listener.last("edge/cam0/paused") == b"ON")
        assert json.loads(listener.last("edge/cam0/health") or b"")["fps"] == 9.5
        camera.health("stopping")
        assert until(lambda: listener.last("edge/cam0/availability") == b"offline")
    camera.stop()


@needs_mosquitto
def test_the_broker_publishes_offline_when_a_bridge_is_killed(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port)
    camera = Camera(settings)
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "bridge", "mqtt", "--set", f"mqtt.port={broker.port}",
         "--endpoint", settings.bus.endpoint, "--set", f"capture.directory={tmp_path}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert until(
            lambda: camera.health() or listener.last("edge/cam0/availability") == b"online"
        )
        process.kill()
        assert until(lambda: listener.last("edge/cam0/availability") == b"offline")
    finally:
        process.kill()
        process.wait()
        camera.stop()


def kept_in(spool: Path) -> int:
    """Number of messages in the file of a bridge."""
    with closing(sqlite3.connect(spool)) as connection:
        return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])


@needs_mosquitto
def test_no_trigger_is_lost_while_the_broker_is_away_and_the_bridge_restarts(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port)
    camera = Camera(settings)
    with bridged(settings) as spool:
        # A trigger that is published before the bridge has subscribed is not its loss.
        assert until(
            lambda: camera.health() or listener.last("edge/cam0/availability") == b"online"
        )
        camera.trigger()
        assert until(lambda: set(listener.triggers()) == set(camera.sent))
        broker.save()
        broker.freeze()
        for _ in range(30):  # more than are unconfirmed at a time
            camera.trigger()
        time.sleep(0.3)
        broker.kill()
        for _ in range(50):
            camera.trigger()
        assert until(lambda: kept_in(tmp_path / "cam0.sqlite") >= 80, 20)
    camera_sent = list(camera.sent)
    assert kept_in(tmp_path / "cam0.sqlite") >= 80
    with bridged(settings) as spool:  # a new process would find the same file
        broker.start()
        assert until(lambda: set(listener.triggers()) >= set(camera_sent), 15)
        assert until(lambda: not _count(tmp_path / "cam0.sqlite"))
        assert spool.dropped == 0
    in_order = list(dict.fromkeys(listener.triggers()))
    assert in_order == camera_sent
    camera.stop()


def _count(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        return int(database.execute("SELECT count(*) FROM kept").fetchone()[0])
    finally:
        database.close()


@needs_mosquitto
def test_fifty_cameras_and_a_broker_that_is_killed(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    each = [settings_of(tmp_path, f"cam{n}", broker.port) for n in range(50)]
    # Bridges get the low numbers, as select in paho ends at descriptor 1023.
    low = [os.open(os.devnull, os.O_RDONLY) for _ in range(950)]
    cameras = [Camera(settings) for settings in each]
    for descriptor in low:
        os.close(descriptor)
    with ExitStack() as stack:
        for settings in each:
            stack.enter_context(bridged(settings))
        wanted = {f"edge/{camera.name}/availability" for camera in cameras}

        def all_online() -> bool:
            for camera in cameras:
                camera.health()
            time.sleep(0.2)
            return all(listener.last(topic) == b"online" for topic in wanted)

        assert until(all_online, 30)
        for camera in cameras:
            camera.trigger()
        sent = {name for camera in cameras for name in camera.sent}
        assert until(lambda: set(listener.triggers()) == sent, 20)
        broker.save()
        broker.kill()
        for _ in range(4):
            for camera in cameras:
                camera.trigger()
        time.sleep(0.5)
        begun_s = time.monotonic()
        broker.start()
        sent = {name for camera in cameras for name in camera.sent}
        assert until(lambda: set(listener.triggers()) == sent, 40)
        took_s = time.monotonic() - begun_s
        print(f"{len(sent)} triggers, {len(listener.triggers())} deliveries, {took_s:.1f} s")
    for camera in cameras:
        camera.stop()


@needs_mosquitto
def test_a_button_captures_and_a_switch_pauses_a_real_daemon(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    common = ["--set", f"capture.directory={tmp_path}", "--set", f"mqtt.port={broker.port}",
              "--set", f"bus.endpoint=ipc://{tmp_path}/e.ipc",
              "--set", "health.interval_s=0.5"]  # fmt: skip
    edge = [sys.executable, "-m", "edge.cli"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemon = subprocess.Popen(
        [*edge, "run", "--source", "synthetic:still?duration=0", *common], **quiet
    )
    bridge = subprocess.Popen([*edge, "bridge", "mqtt", *common], **quiet)
    try:
        assert until(lambda: listener.last("edge/cam0/availability") == b"online", 20)
        listener.send("edge/cam0/command/capture", "PRESS")
        assert until(lambda: listener.last("edge/cam0/capture/command"))
        capture = json.loads(listener.last("edge/cam0/capture/command") or b"")
        assert Path(capture["path"]).is_file()
        listener.send("edge/cam0/command/pause", "ON")
        assert until(lambda: listener.last("edge/cam0/paused") == b"ON")
        assert until(lambda: json.loads(listener.last("edge/cam0/health") or b"{}").get("paused"))
        listener.send("edge/cam0/command/pause", "OFF")
        assert until(lambda: listener.last("edge/cam0/paused") == b"OFF")
        result = {"command": "pause", "ok": True, "text": "resumed"}
        assert until(lambda: json.loads(listener.last("edge/cam0/result") or b"{}") == result)
        daemon.terminate()
        assert daemon.wait(15) == 0
        assert until(lambda: listener.last("edge/cam0/availability") == b"offline")
        listener.send("edge/cam0/command/capture", "PRESS")
        assert until(lambda: b'"ok":false' in (listener.last("edge/cam0/result") or b""))
        bridge.send_signal(signal.SIGTERM)
        assert bridge.wait(10) == 0
    finally:
        daemon.kill()
        bridge.kill()
        daemon.wait()
        bridge.wait()


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def broker_with_tls(folder: Path, ca: Path) -> Mosquitto:
    """A broker that requires TLS and the password `secret word` of the user `edge`."""
    key, passwords = folder / "key.pem", folder / "passwd"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", ca, "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-days", "2")  # fmt: skip
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", passwords, "edge", "secret word"],
        check=True, capture_output=True,
    )  # fmt: skip
    return Mosquitto(
        folder / "broker", f"certfile {ca}", f"keyfile {key}", f"password_file {passwords}"
    )


@needs_mosquitto
def test_tls_and_passwords(tmp_path: Path) -> None:
    if shutil.which("openssl") is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("NO OPENSSL: TLS with a broker was not tested")
    ca = tmp_path / "ca.pem"
    broker = broker_with_tls(tmp_path, ca)
    broker.start()
    secret = tmp_path / "secret"
    secret.write_text("secret word\n")
    secret.chmod(0o600)
    common = {"mqtt__tls": True, "mqtt__ca_file": str(ca), "mqtt__username": "edge",
              "mqtt__password_file": str(secret)}  # fmt: skip

    def identify(client: paho.Client) -> None:
        client.tls_set(str(ca))
        client.username_pw_set("edge", "secret word")

    listener = Listener(broker.port, identify)
    settings = settings_of(tmp_path, "cam0", broker.port, **common)
    camera = Camera(settings)
    try:
        with bridged(settings):
            assert until(lambda: camera.trigger() or listener.triggers())
        secret.write_text("wrong")
        with pytest.raises(PermanentError, match=r"refuses: Not authorized"), bridged(settings):
            time.sleep(1)
        secret.chmod(0o604)
        with pytest.raises(ConfigError, match="every user can read this password: chmod 640"):
            Broker(settings.mqtt, "x", "x")
    finally:
        listener.close()
        camera.stop()
        broker.kill()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mqtt.password_file", "/x", "no effect without username"),
        ("mqtt.ca_file", "/x", "no effect without tls = true"),
        ("mqtt.prefix", "a/#", "expected a topic without"),
    ],
)
def test_contradictory_settings_are_refused(key: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(Path("/dev/null"), {key: value})


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NO systemd-analyze: the unit was not checked")
    unit = tmp_path / "edge-mqtt@cam0.service"
    unit.write_text(UNIT.read_text().replace("/opt/edge/bin/edge", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert "edge-mqtt@cam0" not in verified.stderr, verified.stderr
    secured = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT],
        capture_output=True, text=True,
    )  # fmt: skip
    assert secured.returncode == 0, secured.stdout[-200:]


@needs_mosquitto
def test_a_broker_that_is_away_is_one_log_line_and_one_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto = Mosquitto(tmp_path / "broker")
    settings = settings_of(tmp_path, "cam0", mosquitto.port)
    caplog.set_level("INFO", "edge.bridges.mqtt")
    away = f":{mosquitto.port} can't be used"  # not that of a bridge of another test that ends
    with bridged(settings):
        assert until(lambda: away in caplog.text)
        time.sleep(2.5)  # two more attempts
        assert caplog.text.count(away) == 1
        assert "refused" in caplog.text
        mosquitto.start()
        try:
            assert until(lambda: "connected to the broker" in caplog.text, 20)
            mosquitto.kill()
            assert until(lambda: "the connection is lost" in caplog.text)
        finally:
            mosquitto.kill()


def test_a_false_certificate_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-days",
         "2", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):
                context.wrap_socket(listening.accept()[0], server_side=True)

        threading.Thread(target=answer, daemon=True).start()
        settings = settings_of(tmp_path, "cam0", listening.getsockname()[1], mqtt__tls=True)
        with bridged(settings):
            assert until(lambda: "its certificate is not valid" in caplog.text)
