"""Each room imports earlier rooms only, also through importlib."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.imports import EDGE, imports, names, rooms, rooms_of

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
    "apprise": {"bridges/notify/address.py"},
    "paho": {"bridges/mqtt.py"},
    "prometheus_client": {"bridges/prometheus.py"},
    "starlette": {
        "web/server.py",
        "web/capture_views.py",
        "web/replies.py",
        "web/stream.py",
    },
    "uvicorn": {"web/server.py", "web/connections.py"},
    "tomlkit": {"config/edit.py"},
}
WITHOUT_CV2 = (
    "vision/geometry.py",
    "vision/tracker.py",
    "vision/triggers.py",
    "messages.py",
    "config",
)
ROOMS = [room for group in LAYERS for room in group]


def test_every_room_is_in_the_list() -> None:
    assert set(rooms()) == set(ROOMS)


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
    names_ = ("mqtt", "forward", "notify", "prometheus")
    bridges = ", ".join(f"edge.bridges.{name}" for name in names_)
    script = f"import sys, edge.web.server, {bridges}; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_messages_import_nothing_of_edge_but_errors() -> None:
    assert rooms_of("messages") == {"errors"}
