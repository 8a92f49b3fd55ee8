"""The direction of flow, held by the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EDGE = Path(__file__).resolve().parent.parent / "edge"
STAGES = ["motion", "flow", "regions", "scheduler", "detector", "tracker", "triggers"]
WITHOUT_CV2 = ["geometry", "tracker", "triggers", "messages", "settings", "config"]


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports, inside its functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(name: str) -> list[Path]:
    folder = EDGE / name
    return sorted(folder.glob("*.py")) if folder.is_dir() else [EDGE / f"{name}.py"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_no_other_stage_no_socket_no_clock_and_no_loader(stage: str) -> None:
    others = {f"edge.{other}" for other in STAGES if other != stage}
    forbidden = others | {"zmq", "time", "threading", "edge.config", "edge.pipeline", "edge.daemon"}
    for path in modules(stage):
        assert not imports(path) & forbidden, path


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("zmq", ("bus", "client.py")),
        ("ai_edge_litert", ("detector/runtime.py",)),
        ("tflite_runtime", ("detector/runtime.py",)),
        ("picamera2", ("sources/picamera2.py",)),
        ("gpiozero", ("hooks/gpio.py",)),
        ("paho", ("bridges/mqtt.py",)),
        ("prometheus_client", ("bridges/prometheus.py",)),
        ("starlette", ("web/server.py",)),
        ("uvicorn", ("web/server.py",)),
        ("tomlkit", ("web/settings_file.py",)),
    ],
)
def test_each_of_these_has_one_importer(package: str, allowed: tuple[str, ...]) -> None:
    importers = [
        path.relative_to(EDGE).as_posix()
        for path in EDGE.rglob("*.py")
        if any(name.split(".")[0] == package for name in imports(path))
    ]
    assert all(importer.startswith(allowed) for importer in importers)


@pytest.mark.parametrize("module", WITHOUT_CV2)
def test_no_opencv(module: str) -> None:
    assert "cv2" not in imports(EDGE / f"{module}.py")


def test_capture_and_bus_do_not_know_each_other() -> None:
    assert not any("edge.bus" in name for path in modules("capture") for name in imports(path))
    assert not any("edge.capture" in name for path in modules("bus") for name in imports(path))


@pytest.mark.parametrize("package", ["web", "bridges"])
def test_programs_beside_the_daemon_know_it_by_its_sockets_only(package: str) -> None:
    inside = {"edge.daemon", "edge.pipeline", "edge.remote", "edge.outgoing", "edge.service"}
    for path in modules(package):
        assert not imports(path) & inside, path


def test_programs_beside_the_daemon_do_without_opencv() -> None:
    programs = "edge.web.server, edge.bridges.mqtt, edge.bridges.forward, edge.bridges.prometheus"
    script = f"import sys, {programs}; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_messages_import_nothing_of_edge_but_errors() -> None:
    own = {name for name in imports(EDGE / "messages.py") if name.startswith("edge")}
    assert {name for name in own if not name.startswith("edge.errors")} == set()
