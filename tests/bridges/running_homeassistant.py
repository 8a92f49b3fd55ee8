"""A program that checks discovery messages, and runs Home Assistant with a broker.

Run it with the interpreter of an environment that has `homeassistant`, `paho-mqtt` and what its
integration of MQTT needs.

    validate FILE        checks the messages of the file with Home Assistant's schemas
    blueprint FILE       checks a blueprint
    run FOLDER PORT      answers each line it reads with the states as JSON; the line
                         `listen trigger_RULE` begins to listen to a device trigger before
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, runner
from homeassistant.components.automation.config import PLATFORM_SCHEMA
from homeassistant.components.blueprint.models import Blueprint, BlueprintInputs
from homeassistant.components.device_automation.trigger import async_attach_trigger
from homeassistant.components.mqtt.device_trigger import TRIGGER_DISCOVERY_SCHEMA
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.util import yaml


async def run(folder: Path, port: int) -> None:
    (folder / "configuration.yaml").write_text(
        "homeassistant:\n  name: test\n  time_zone: UTC\nlogger:\n  default: warning\n"
    )
    bootstrap.CRITICAL_INTEGRATIONS = frozenset()  # it starts without its pages
    config = runner.RuntimeConfig(config_dir=str(folder), skip_pip=True, safe_mode=False)
    hass = await bootstrap.async_setup_hass(config)
    assert hass is not None
    await hass.async_start()
    if not hass.config_entries.async_entries("mqtt"):
        await hass.config_entries.async_add(
            ConfigEntry(
                version=1, minor_version=1, domain="mqtt", title="broker", source="user",
                data={"broker": "127.0.0.1", "port": port, "discovery": True},
            )
        )  # fmt: skip
    heard: list[str] = []
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := (await lines.readline()).decode().strip():
        if line.startswith("listen "):
            await listen(hass, line.removeprefix("listen "), heard)
        await hass.async_block_till_done()
        print(json.dumps(report(hass, heard), default=str), flush=True)
    await hass.async_stop()


def report(hass: HomeAssistant, heard: list[str]) -> dict[str, Any]:
    registered = entity_registry.async_get(hass).entities
    return {
        "states": {s.entity_id: s.state for s in hass.states.async_all()},
        "attributes": {s.entity_id: dict(s.attributes) for s in hass.states.async_all()},
        "ids": {entry.unique_id: name for name, entry in registered.items()},
        "heard": heard,
    }


async def listen(hass: HomeAssistant, discovery_id: str, heard: list[str]) -> None:
    (device,) = device_registry.async_get(hass).devices.values()
    rule = discovery_id.removeprefix("trigger_")
    config = {
        "platform": "device", "domain": "mqtt", "device_id": device.id, "type": "trigger",
        "subtype": rule, "discovery_id": f"edge_cam0 {discovery_id}",
    }  # fmt: skip

    async def action(variables: dict[str, Any], _context: object = None) -> None:
        heard.append(variables["trigger"]["payload_json"]["event_id"])

    info: Any = {
        "trigger_data": {},
        "variables": {},
        "domain": "x",
        "name": "x",
        "home_assistant_start": False,
    }
    await async_attach_trigger(hass, config, action, info)


def validate(file: Path) -> None:
    """Raises voluptuous.Invalid for a message that Home Assistant refuses."""
    for topic, body in json.loads(file.read_text()).items():
        _, component, node, name, _ = topic.split("/")
        if component == "device_automation":
            schema = TRIGGER_DISCOVERY_SCHEMA
        else:
            package = f"homeassistant.components.mqtt.{component}"
            schema = importlib.import_module(package).DISCOVERY_SCHEMA
        unknown = body.keys() - schema(dict(body)).keys()
        assert not unknown, f"{component} {name} ignores {unknown}"
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", node + name)


def check_blueprint(file: Path) -> None:
    """Raises an error if Home Assistant can't make an automation of the blueprint."""
    data = yaml.load_yaml_dict(str(file))
    blueprint = Blueprint(data, path=file.name, expected_domain="automation")
    required = [name for name, one in blueprint.inputs.items() if not one or "default" not in one]
    inputs = {name: f"sensor.{name}" for name in required}
    config = BlueprintInputs(
        blueprint, {"use_blueprint": {"path": file.name, "input": inputs}}
    ).async_substitute()
    PLATFORM_SCHEMA({key: value for key, value in config.items() if key != "use_blueprint"})


if sys.argv[1] == "run":
    asyncio.run(run(Path(sys.argv[2]), int(sys.argv[3])))
elif sys.argv[1] == "validate":
    validate(Path(sys.argv[2]))
else:
    check_blueprint(Path(sys.argv[2]))
