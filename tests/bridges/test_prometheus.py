"""The Prometheus bridge of a live daemon, read over HTTP and checked with promtool."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from edge import __version__
from edge.bridges import bounded_server, prometheus
from edge.bridges.prometheus import Metrics
from edge.client import Event
from edge.messages import Crossing, Header, Health, Stay

EDGE = [sys.executable, "-m", "edge.cli"]
DASHBOARD = Path(__file__).resolve().parents[2] / "dashboards" / "grafana.json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetched(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The page once a rule has triggered, and after the daemon has ended."""
    folder = tmp_path_factory.mktemp("daemon")
    port = free_port()
    common = ["--set", f"bus.endpoint=ipc://{folder}/e.ipc", "--set", "health.interval_s=0.5"]
    bridge = subprocess.Popen(
        [*EDGE, "bridge", "prometheus", "--port", str(port), *common], stdout=subprocess.DEVNULL
    )
    daemon = subprocess.Popen(
        [*EDGE, "run", "--source", "synthetic:visits?duration=0&fps=10",
         "--capture-dir", folder, *common,
         "--set", "lines=[{name='middle', points=[[0.5, 0.0], [0.5, 1.0]]}]",
         "--set", "zones=[{name='all', polygon=[[0, 0], [1, 0], [1, 1], [0, 1]]}]"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end_s = time.monotonic() + 20
        page = ""
        while time.monotonic() < end_s and (
            not values(page, "edge_rule_triggers_total")
            or not sum(values(page, "edge_triggers_total").values())
            or not values(page, "edge_zone_objects")
        ):
            time.sleep(0.1)
            page = fetched(port)
        daemon.terminate()
        daemon.wait(15)
        time.sleep(0.3)
        yield page, fetched(port)
        bridge.send_signal(signal.SIGTERM)
        assert bridge.wait(10) == 0
    finally:
        daemon.kill()
        bridge.kill()
        daemon.wait()
        bridge.wait()


def test_the_metrics_have_the_daemons_values(metrics: tuple[str, str]) -> None:
    page, after = metrics
    assert values(page, "edge_up") == {("cam0",): 1}
    assert values(page, "edge_rule_triggers_total")[("cam0", "person")] >= 1
    assert values(page, "edge_trigger_latency_seconds_count")[("cam0", "person")] >= 1
    assert abs(values(page, "edge_last_trigger_timestamp_seconds")[("cam0", "person")]
               - time.time()) < 60  # fmt: skip
    assert values(page, "edge_frames_total")[("cam0",)] > 0
    assert values(page, "edge_muted_total") == {("cam0",): 0}
    (info,) = values(page, "edge_info")
    assert info[-1] == __version__
    assert ("cam0", "person") in values(page, "edge_rule_objects")
    assert ("cam0", "all") in values(page, "edge_zone_objects")
    assert values(page, "edge_line_crossings_total").keys() == {
        ("cam0", "in", "middle"), ("cam0", "out", "middle")
    }  # fmt: skip
    assert ("cam0", "all") in values(page, "edge_zone_stay_seconds_count")
    assert not values(after, "edge_rule_objects")
    assert values(page, "edge_resident_memory_bytes")[("cam0",)] > 10e6
    assert values(page, "edge_disk_free_bytes")[("cam0",)] > 0
    assert ("cam0", "messages") in values(page, "edge_dropped_total")
    assert values(after, "edge_up") == {("cam0",): 0}
    assert not values(after, "edge_frame_rate")


def test_promtool_accepts_the_metrics(metrics: tuple[str, str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO PROMTOOL: apt-get install prometheus; the metrics were not linted")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=metrics[0], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_the_dashboard_queries_existing_metrics(metrics: tuple[str, str]) -> None:
    published = {
        sample.name
        for family in text_string_to_metric_families(metrics[0])
        for sample in family.samples
    } | {"edge_temperature_celsius"}  # a machine without a sensor has none
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queried = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"\bedge_\w+", target["expr"])
    }
    assert len(panels) >= 10
    assert queried <= published


def test_promtool_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO PROMTOOL: apt-get install prometheus; the dashboard was not checked")
    rules = [
        {"record": f"panel:p{panel['id']}{target['refId']}",
         "expr": target["expr"].replace("$camera", ".*")}
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]  # fmt: skip
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*EDGE, "bridge", "prometheus", "--port", str(port)],
            capture_output=True, text=True, timeout=20, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"edge: metrics can't be served at 127.0.0.1:{port}: " \
                          "Address already in use\n"  # fmt: skip


def test_without_the_extra_it_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('hidden')")
    done = subprocess.run(
        [*EDGE, "bridge", "prometheus"], env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=30, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith("pip install 'edge-trigger[prometheus]'\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_camera_without_health_messages_is_down() -> None:
    metrics = Metrics(patience_s=0.05)
    health = {
        "type": "health", "state": "running", "source": "s", "model": "m", "uptime_s": 1, "fps": 1,
        "frames": 1, "invocations": 1, "invocations_per_s": 1, "inference_ms": 1, "tracks": 0,
        "triggers": 0, "captures": 0, "dropped": {}, "rss_bytes": 1, "temperature_c": None,
        "problems": [],
        "header": {"camera": "cam7", "boot_id": "b", "sequence": 1, "topic_sequence": 1,
                   "wall_time": "2025-01-01T00:00:00Z", "timestamp_ns": 1},
    }  # fmt: skip
    metrics.note(Event("health.cam7", msgspec.convert(health, Health, strict=False)))
    up = metrics.registry.get_sample_value
    assert up("edge_up", {"camera": "cam7"}) == 1
    assert up("edge_temperature_celsius", {"camera": "cam7"}) is None
    time.sleep(0.1)
    assert up("edge_up", {"camera": "cam7"}) == 0
    assert up("edge_frame_rate", {"camera": "cam7"}) is None


def test_counts_are_counted_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(1.0)
    monkeypatch.setattr(prometheus, "MAX_NAMES", 2)
    head = Header(camera="cam7", boot_id="b", sequence=1, topic_sequence=1,
                  wall_time=datetime.now(UTC), timestamp_ns=1)  # fmt: skip
    track = {"track_id": 1, "label": "person", "header": head}
    gate = Crossing(line="gate", direction="in", today_in=1, today_out=0, **track)  # type: ignore[arg-type]
    for message in (gate, gate, replace(gate, direction="out"),
                    Stay(zone="pond", duration_s=4.5, **track),  # type: ignore[arg-type]
                    Stay(zone="pond", duration_s=400, **track),  # type: ignore[arg-type]
                    replace(gate, line="one too many")):  # fmt: skip
        metrics.note(Event("", message))
    value = metrics.registry.get_sample_value
    gate_in = {"camera": "cam7", "line": "gate", "direction": "in"}
    pond = {"camera": "cam7", "zone": "pond"}
    assert value("edge_line_crossings_total", gate_in) == 2
    assert value("edge_line_crossings_total", gate_in | {"direction": "out"}) == 1
    assert value("edge_zone_stay_seconds_sum", pond) == 404.5
    assert value("edge_zone_stay_seconds_bucket", pond | {"le": "5.0"}) == 1
    assert value("edge_line_crossings_total", gate_in | {"line": "one too many"}) is None


def test_slow_clients_get_a_bounded_number_of_threads_and_keep_nobody_out() -> None:
    metrics = Metrics(1.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    metrics.serve("127.0.0.1", port)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            slow.sendall(b"GET /met")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            assert response.status == 200
        assert threading.active_count() <= before + bounded_server.MAX_CONNECTIONS + 1


def test_a_slow_request_ends_after_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "LIMIT_S", 0.3)
    metrics = Metrics(1.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    metrics.serve("127.0.0.1", port)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
        slow.sendall(b"GET /met")
        assert slow.recv(100) == b""
