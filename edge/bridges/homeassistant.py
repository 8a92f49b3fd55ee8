"""The messages by which Home Assistant discovers a camera and adds it.

One retained message makes one entity:
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge import __version__
from edge.bridges.topics import Topics

Entity = dict[str, Any]
DIAGNOSTIC = {"entity_category": "diagnostic"}
MEASURED = DIAGNOSTIC | {"state_class": "measurement"}


def entities(
    topics: Topics, rules: tuple[str, ...], off_delay_s: float, discovery: str
) -> Iterator[tuple[str, Entity]]:
    """Topic and body for each entity of a camera."""
    for rule in rules:
        yield _topic(discovery, topics, "binary_sensor", rule), occupancy(topics, rule, off_delay_s)
    for component, name, entity in _camera_entities(topics):
        yield _topic(discovery, topics, component, name), entity | _common(topics, name)


def occupancy(topics: Topics, rule: str, off_delay_s: float) -> Entity:
    """On with each trigger; Home Assistant switches it off after `off_delay_s`."""
    return {
        "name": rule,
        "device_class": "occupancy",
        "state_topic": topics.occupancy(rule),
        "payload_on": "ON",
        "off_delay": round(off_delay_s),
    } | _common(topics, f"rule_{rule}")


def _camera_entities(topics: Topics) -> Iterator[tuple[str, str, Entity]]:
    yield (
        "image",
        "last_trigger",
        {"name": "Last trigger", "image_topic": topics.image, "content_type": "image/jpeg"},
    )
    yield (
        "button",
        "capture",
        {"name": "Capture", "command_topic": topics.command("capture"), "payload_press": "PRESS",
         "icon": "mdi:camera"},
    )  # fmt: skip
    yield (
        "switch",
        "pause",
        {"name": "Pause", "command_topic": topics.command("pause"), "state_topic": topics.paused,
         "payload_on": "ON", "payload_off": "OFF", "icon": "mdi:pause"},
    )  # fmt: skip
    yield (
        "binary_sensor",
        "problem",
        {"name": "Problem", "device_class": "problem", "state_topic": topics.health,
         "value_template": "{{ 'ON' if value_json.problems else 'OFF' }}",
         "json_attributes_topic": topics.health,
         "json_attributes_template": "{{ {'problems': value_json.problems} | tojson }}"}
        | DIAGNOSTIC,
    )  # fmt: skip
    for name, title, template, rest in (
        ("fps", "Frame rate", "{{ value_json.fps }}", {"unit_of_measurement": "fps"}),
        ("temperature", "Temperature", "{{ value_json.temperature_c }}",
         {"unit_of_measurement": "°C", "device_class": "temperature"}),
        ("disk", "Free on disk",
         "{{ (value_json.disk_free_bytes / 1e9) | round(1) if value_json.disk_free_bytes }}",
         {"unit_of_measurement": "GB", "device_class": "data_size"}),
    ):  # fmt: skip
        sensor = {"name": title, "state_topic": topics.health, "value_template": template}
        yield "sensor", name, sensor | rest | MEASURED


def _common(topics: Topics, name: str) -> Entity:
    device = f"edge_{topics.camera}"
    return {
        "unique_id": f"{device}_{name}",
        "availability_topic": topics.availability,
        "device": {
            "identifiers": [device],
            "name": topics.camera,
            "manufacturer": "edge-trigger",
            "sw_version": __version__,
        },
    }


def _topic(discovery: str, topics: Topics, component: str, name: str) -> str:
    return f"{discovery}/{component}/edge_{topics.camera}/{name}/config"
