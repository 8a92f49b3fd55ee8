"""The direction of flow, held by the imports themselves, those by name included."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

EDGE = Path(__file__).resolve().parent.parent / "edge"

# A room imports rooms to its left only, and none of its own group.
LAYERS = (
    ("errors",),
    ("messages",),
    ("config",),
    ("runtime",),
    ("vision",),
    ("sources",),
    ("capture", "bus", "hooks"),
    ("client",),
    ("daemon",),
    ("tools", "bridges", "web", "export", "bench"),
    ("commands",),
    ("cli",),
)
STAGES = ("motion", "flow", "regions", "scheduler", "detector", "tracker", "triggers")
NOT_IN_A_STAGE = ("zmq", "time", "threading", "edge.config.load", "edge.vision.pipeline")
IMPORTERS = {
    "zmq": {"bus", "client.py"},
    "ai_edge_litert": {"vision/detector/runtime.py"},
    "tflite_runtime": {"vision/detector/runtime.py"},
    "picamera2": {"sources/picamera2.py"},
    "gpiozero": {"hooks/gpio.py"},
    "paho": {"bridges/mqtt.py"},
    "prometheus_client": {"bridges/prometheus.py"},
    "starlette": {"web/server.py"},
    "uvicorn": {"web/server.py"},
    "tomlkit": {"config/edit.py"},
}
WITHOUT_CV2 = (
    "vision/geometry.py",
    "vision/tracker.py",
    "vision/triggers.py",
    "messages.py",
    "config",
)
DOTTED = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.?")


def imported_by_name(tree: ast.AST) -> set[str]:
    """Texts that look like modules, in a module that imports by name (f-strings: their start)."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not any("import_module" in ast.dump(call.func) for call in calls):
        return set()
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {text.rstrip(".") for text in texts if isinstance(text, str) and DOTTED.fullmatch(text)}


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names that a module imports, inside its functions and by name too."""
    tree = ast.parse(path.read_text())
    found = imported_by_name(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def modules(place: str) -> list[Path]:
    """The files of a folder, or the one file; never none."""
    path = EDGE / place
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert found
    assert all(module.is_file() for module in found), place
    return found


def names(place: str) -> set[str]:
    return {name for path in modules(place) for name in imports(path)}


def rooms_of(place: str) -> set[str]:
    """Rooms of `edge` that a room imports, itself left out."""
    parts = (name.split(".") for name in names(place) if name.startswith("edge."))
    return {part[1] for part in parts if part[1] in ROOMS} - {place}


ROOMS = [room for group in LAYERS for room in group]


def test_every_room_is_in_the_list() -> None:
    there = {
        path.stem
        for path in EDGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert there - {"__init__"} == set(ROOMS)


def test_the_listing_is_short() -> None:
    shown = [path for path in EDGE.iterdir() if path.name != "__pycache__"]
    assert len([path for path in shown if path.is_dir()]) <= 14
    assert len([path for path in shown if path.is_file()]) <= 6


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_earlier_ones_only(room: str) -> None:
    place = next(number for number, group in enumerate(LAYERS) if room in group)
    earlier = {name for group in LAYERS[:place] for name in group}
    assert rooms_of(room) <= earlier


def test_the_layers_see_imports_of_every_kind() -> None:
    assert rooms_of("daemon") >= {"vision", "sources", "capture", "bus"}
    assert "commands" in rooms_of("cli")  # by importlib alone
    assert {"ai_edge_litert.interpreter", "tflite_runtime.interpreter"} <= names("vision")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_no_other_stage_no_socket_no_clock_and_no_loader(stage: str) -> None:
    others = tuple(f"edge.vision.{other}" for other in STAGES if other != stage)
    found = names(f"vision/{stage}")
    assert any(name.startswith("edge.vision.") for name in found)
    assert not [name for name in found if name.startswith((*others, *NOT_IN_A_STAGE))]


@pytest.mark.parametrize("package", IMPORTERS)
def test_each_of_these_is_imported_in_one_place(package: str) -> None:
    importers = {
        path.relative_to(EDGE).as_posix()
        for path in EDGE.rglob("*.py")
        if any(name.split(".")[0] == package for name in imports(path))
    }
    places = {one if one in IMPORTERS[package] else one.split("/")[0] for one in importers}
    assert places == IMPORTERS[package]


@pytest.mark.parametrize("place", WITHOUT_CV2)
def test_no_opencv(place: str) -> None:
    assert names(place)
    assert "cv2" not in names(place)


@pytest.mark.parametrize("program", ["web", "bridges"])
def test_programs_beside_the_daemon_know_it_by_its_sockets_only(program: str) -> None:
    assert "client" in rooms_of(program)
    assert not rooms_of(program) & {"daemon", "sources", "vision"}


def test_programs_beside_the_daemon_do_without_opencv() -> None:
    programs = "edge.web.server, edge.bridges.mqtt, edge.bridges.forward, edge.bridges.prometheus"
    script = f"import sys, {programs}; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_messages_import_nothing_of_edge_but_errors() -> None:
    assert rooms_of("messages") == {"errors"}
