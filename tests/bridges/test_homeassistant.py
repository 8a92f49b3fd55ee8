"""Discovery and states for Home Assistant: golden messages, a real broker, its own schemas.

`discovery.json` holds every message of a camera. Home Assistant 2024.3.3 accepted them. HASS_PYTHON
names the interpreter of an environment with `homeassistant`: with it, they are checked again, and
a running Home Assistant must show the states.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import __version__
from edge.bridges.homeassistant import entities
from edge.bridges.topics import Names, Topics
from edge.messages import LineToday, ZoneToday
from tests.bridges.test_mqtt import Camera, Listener, bridged, needs_mosquitto, settings_of, until
from tests.support.mosquitto import Mosquitto

HERE = Path(__file__).parent
PROGRAM = HERE / "running_homeassistant.py"
GOLDEN = HERE / "discovery.json"
BLUEPRINT = HERE.parents[1] / "examples" / "homeassistant" / "picture.yaml"
NAMES = Names(("person", "problem"), ("pond",), ("gate",))
HASS_PYTHON = os.environ.get("HASS_PYTHON")
needs_homeassistant = pytest.mark.skipif(
    HASS_PYTHON is None, reason="NO HOME ASSISTANT: set HASS_PYTHON; only golden messages compared"
)
RULES = "[{name='person'}, {name='problem'}]"
POND = {"pond": ZoneToday(objects=2, today_stays=4, today_stay_s=50.0)}
GATE = {"gate": LineToday(today_in=3, today_out=2)}
SCENE = ("[{name='gate', points=[[0.5, 0.0], [0.5, 1.0]]}]",
         "[{name='pond', polygon=[[0, 0], [1, 0], [1, 1]]}]")  # fmt: skip


def messages() -> dict[str, Any]:
    return dict(entities(Topics("edge", "cam0"), NAMES, "homeassistant"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """One that forgets retained messages when it is killed, as one without persistence does."""
    broker = Mosquitto(tmp_path / "broker", "autosave_interval 0")
    broker.start()
    yield broker
    broker.kill()


def retained(port: int) -> dict[str, bytes]:
    """The messages that a new subscriber receives from the broker at once."""
    listener = Listener(port, lambda client: client.reinitialise(f"new-{time.monotonic_ns()}"))
    time.sleep(0.1)
    listener.close()
    return {topic: body for topic, body, kept in listener.received if kept}


def publish(port: int, kept: dict[str, str]) -> None:
    listener = Listener(port)
    for topic, body in kept.items():
        listener._client.publish(topic, body, qos=1, retain=True).wait_for_publish(5)
    listener.close()


def test_the_messages_are_those_that_home_assistant_accepted() -> None:
    text = GOLDEN.read_text().replace("VERSION", __version__)
    assert messages() == json.loads(text), "validate the new ones with HASS_PYTHON, then store them"


def test_no_names_make_two_entities_alike() -> None:
    tricky = Names(
        ("problem", "a", "a_in", "trigger", "line_a", "trigger_a"),
        ("a", "a_stay", "a_stays", "a_objects"),
        ("a", "a_in", "in"),
    )
    every = [
        (topic, entity)
        for camera in ("cam", "cam_rule", "cam_rule_a")
        for topic, entity in entities(Topics("edge", camera), tricky, "homeassistant")
    ]
    assert len({topic for topic, _ in every}) == len(every)
    ids = [(topic.split("/")[1], e["unique_id"]) for topic, e in every if "unique_id" in e]
    assert len(set(ids)) == len(ids)
    entity_ids = [
        (topic.split("/")[1], f"{e['device']['name']} {e['name']}".replace(" ", "_").lower())
        for topic, e in every
        if "unique_id" in e and e["device"]["name"] == "cam"
    ]
    assert len(set(entity_ids)) == len(entity_ids)


@needs_mosquitto
def test_a_rule_is_occupied_while_an_object_is_there(broker: Mosquitto, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port, triggers=RULES, mqtt__off_delay_s=0.5)
    camera, listener = Camera(settings), Listener(broker.port)

    def state() -> bytes | None:
        return listener.last("edge/cam0/occupancy/person")

    with bridged(settings):
        assert until(lambda: camera.health() or state() == b"OFF" or camera.presence(both(0)))
        camera.presence(both(1))
        assert until(lambda: state() == b"ON")
        camera.presence(both(2))
        camera.presence(both(1))
        camera.health()
        time.sleep(0.7)  # longer than the delay, and shorter than the daemon may be silent
        assert state() == b"ON"
        camera.presence(both(0))
        gone_s = time.monotonic()
        assert until(lambda: state() == b"OFF")
        assert 0.4 < time.monotonic() - gone_s < 3
        assert until(lambda: camera.health() or camera.presence(both(1)) or state() == b"ON")
        camera.health(paused=True)  # nobody looks
        assert until(lambda: state() == b"OFF")
        camera.health()
        assert until(lambda: state() == b"ON")
        camera.health("stopping")
        assert until(lambda: state() == b"OFF")
        assert listener.last("edge/cam0/availability") == b"offline"
    assert listener.last("edge/cam0/occupancy/problem") == b"OFF"
    listener.close()
    camera.stop()


def both(persons: int) -> dict[str, int]:
    return {"person": persons, "problem": 0}


@needs_mosquitto
def test_a_broker_that_lost_everything_receives_every_state_again(
    broker: Mosquitto, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port, triggers=RULES, lines=SCENE[0],
                           zones=SCENE[1])  # fmt: skip
    camera = Camera(settings)
    wanted = {*messages(), "edge/cam0/availability", "edge/cam0/health", "edge/cam0/image",
              "edge/cam0/paused", "edge/cam0/occupancy/person", "edge/cam0/occupancy/problem",
              "edge/cam0/line/gate", "edge/cam0/zone/pond"}  # fmt: skip
    with bridged(settings):
        assert until(lambda: camera.health() or "edge/cam0/health" in retained(broker.port))
        camera.trigger(jpeg=b"\xff\xd8jpeg")
        camera.presence(both(1), POND, GATE)
        assert until(lambda: retained(broker.port).keys() == wanted)
        broker.kill()
        (tmp_path / "broker" / "mosquitto.db").unlink(missing_ok=True)
        broker.start()
        assert until(lambda: camera.health() or retained(broker.port).keys() == wanted, 20)
        kept = retained(broker.port)
    assert kept["edge/cam0/occupancy/person"] == b"ON"
    assert json.loads(kept["edge/cam0/line/gate"]) == {"today_in": 3, "today_out": 2}
    assert kept["edge/cam0/image"] == b"\xff\xd8jpeg"
    camera.stop()


@needs_mosquitto
def test_what_went_away_is_removed_and_nothing_else(broker: Mosquitto, tmp_path: Path) -> None:
    before = {
        "homeassistant/binary_sensor/edge_cam0/person/config": "{}",  # as version 0.1 named it
        "homeassistant/binary_sensor/edge_cam0/rule_deleted/config": "{}",
        "edge/cam0/occupancy/deleted": "ON",
        "edge/cam0/line/deleted": "{}",
    }
    others = {
        "homeassistant/binary_sensor/edge_cam1/rule_deleted/config": "{}",
        "homeassistant/switch/kitchen/lamp/config": "{}",
        "edge/cam1/occupancy/deleted": "ON",
        "edge/cam0/command/pause": "ON",
    }
    publish(broker.port, before | others)
    settings = settings_of(tmp_path, "cam0", broker.port, triggers=RULES)
    camera = Camera(settings)
    problem = "homeassistant/binary_sensor/edge_cam0/rule_problem/config"
    with bridged(settings):
        assert until(lambda: not before.keys() & retained(broker.port).keys())
        assert problem in retained(broker.port)
        camera.presence({"person": 0, "new": 0})  # a reload took one rule and added another
        new = problem.replace("problem", "new")
        assert until(lambda: new in retained(broker.port))
        assert until(lambda: problem not in retained(broker.port))
        kept = retained(broker.port)
    assert others.keys() <= kept.keys()
    trigger = json.loads(kept["homeassistant/event/edge_cam0/trigger/config"])
    assert trigger["event_types"] == ["person", "new"]
    camera.stop()


@needs_mosquitto
def test_more_entities_than_a_client_may_queue_all_arrive(
    broker: Mosquitto, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port)
    camera = Camera(settings)

    def configs() -> int:
        return sum(topic.endswith("/config") for topic in retained(broker.port))

    with bridged(settings):
        assert until(lambda: camera.health() or "edge/cam0/health" in retained(broker.port))
        camera.presence({f"r{n}": 0 for n in range(250)})
        assert until(lambda: configs() == 2 * 250 + 9, 30)
    camera.stop()


@needs_mosquitto
def test_crossings_and_stays_are_events_too(broker: Mosquitto, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port)
    camera, listener = Camera(settings), Listener(broker.port)
    with bridged(settings):
        assert until(lambda: camera.health() or listener.last("edge/cam0/health"))
        camera.crossing()
        camera.stay()
        assert until(lambda: listener.last("edge/cam0/stay/pond"))
        assert json.loads(listener.last("edge/cam0/count/gate") or b"")["today_in"] == 3
    listener.close()
    camera.stop()


@needs_mosquitto
def test_a_real_daemon_is_occupied_while_somebody_is_there_and_shows_the_scene(
    broker: Mosquitto, tmp_path: Path
) -> None:
    common = ["--set", f"capture.directory={tmp_path}", "--set", f"mqtt.port={broker.port}",
              "--set", f"bus.endpoint=ipc://{tmp_path}/e.ipc", "--set", "mqtt.scene_width_px=320",
              "--set", "mqtt.off_delay_s=0"]  # fmt: skip
    edge = [sys.executable, "-m", "edge.cli"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    listener = Listener(broker.port)
    bridge = subprocess.Popen([*edge, "bridge", "mqtt", *common], **quiet)
    daemon = subprocess.Popen(
        [*edge, "run", "--source", "synthetic:visits?duration=0&fps=10", *common], **quiet
    )
    try:
        assert until(lambda: listener.last("edge/cam0/occupancy/person") == b"ON", 30)
        assert until(lambda: listener.last("edge/cam0/scene"), 10)
        assert until(lambda: listener.last("edge/cam0/occupancy/person") == b"OFF", 30)
    finally:
        for process in (daemon, bridge):
            process.terminate()
        for process in (daemon, bridge):
            process.wait(15)
        listener.close()
    jpeg = np.frombuffer(listener.last("edge/cam0/scene") or b"", np.uint8)
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture.shape[1] == 320
    blue, green, red = np.moveaxis(picture.astype(int), 2, 0)
    rows, columns = np.nonzero((red > 200) & (green > 150) & (blue < 90))  # the box
    # Upright, as a person is; the drawn one is 8 px wide here.
    assert 4 < np.ptp(columns) < np.ptp(rows) < 239


@needs_homeassistant
def test_home_assistants_schemas_accept_the_messages_and_the_blueprint(tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(messages()))
    for command, argument in (("validate", file), ("blueprint", BLUEPRINT)):
        done = subprocess.run(
            [HASS_PYTHON or "", PROGRAM, command, argument], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


class HomeAssistant:
    """One that runs, in the environment of HASS_PYTHON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, line: str = "states") -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def state(self, entity: str) -> str | None:
        state = self.ask()["states"].get(entity)
        return None if state is None else str(state)


@contextmanager
def home_assistant(folder: Path, port: int) -> Iterator[HomeAssistant]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [HASS_PYTHON or "", PROGRAM, "run", folder, str(port)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield HomeAssistant(process)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()


@needs_homeassistant
@needs_mosquitto
def test_a_running_home_assistant_shows_the_camera_and_knows_it_after_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "cam0", broker.port, triggers=RULES, lines=SCENE[0],
                           zones=SCENE[1], health__interval_s=30)  # fmt: skip
    camera = Camera(settings)
    occupancy = "binary_sensor.cam0_person_occupancy"
    with bridged(settings):
        with home_assistant(tmp_path / "hass", broker.port) as hass:
            assert until(lambda: camera.health() or "edge/cam0/health" in retained(broker.port))
            camera.presence(both(1), POND, GATE)
            assert until(lambda: hass.state(occupancy) == "on", 30)
            hass.ask("listen trigger_person")
            camera.trigger(jpeg=b"\xff\xd8jpeg")
            assert until(lambda: hass.ask()["heard"] == ["cam0-0"])
            event = hass.ask()["attributes"]["event.cam0_trigger"]
            assert (event["event_type"], event["label"]) == ("person", "person")
            assert hass.state("image.cam0_last_trigger") != "unknown"
        with home_assistant(tmp_path / "hass", broker.port) as hass:  # restarted
            assert until(lambda: hass.state(occupancy) == "on", 30)
            states = hass.ask()["states"]
            assert states["binary_sensor.cam0_problem_occupancy"] == "off"
            assert states["binary_sensor.cam0_problem"] == "off"
            assert [states[f"sensor.cam0_{name}"] for name in (
                "gate_in", "gate_out", "pond_objects", "pond_stays_today", "pond_mean_stay_today",
            )] == ["3", "2", "2", "4", "12.5"]  # fmt: skip
            unknown = {name for name, state in states.items() if state == "unknown"}
            # No scene was published, no button pressed, and this machine has no sensor.
            assert unknown <= {"button.cam0_capture", "image.cam0_last_scene",
                               "sensor.cam0_temperature"}  # fmt: skip
            camera.presence(both(0), POND, GATE)
            assert until(lambda: hass.state(occupancy) == "off")
            camera.presence({"person": 0})
            assert until(lambda: hass.state("binary_sensor.cam0_problem_occupancy") is None)
            assert hass.state("sensor.cam0_gate_in") is None
            camera.health("stopping")
            assert until(lambda: hass.state(occupancy) == "unavailable")
    camera.stop()
