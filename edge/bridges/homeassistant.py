"""The messages by which Home Assistant discovers a camera and adds it.

One retained message makes one entity, and an empty one removes it:
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.

Names of entities end in what they are ("person occupancy", "gate in"), and the ids of those that
have a name in them begin with its kind, so that no name of a rule, zone or line can make two alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge import __version__
from edge.bridges.topics import Names, Topics

Entity = dict[str, Any]
Named = tuple[str, str, Entity]  # component, id within the camera, fields
DIAGNOSTIC = {"entity_category": "diagnostic"}
MEASUREMENT = {"state_class": "measurement"}
TODAY = {"state_class": "total_increasing"}  # begins at 0 each day
EVENT = (
    "{{ {'event_type': value_json.rule, 'label': value_json.label, 'score': value_json.score, "
    "'zones': value_json.zones, 'track_id': value_json.track_id, "
    "'event_id': value_json.event_id, 'time': value_json.header.wall_time} | tojson }}"
)


def entities(topics: Topics, names: Names, discovery: str) -> Iterator[tuple[str, Entity]]:
    """Topic and body for each entity of a camera. discovery: Home Assistant's prefix."""
    parts = [*_controls(topics), *_pictures(topics), *_health(topics), *_rules(topics, names)]
    for line in names.lines:
        parts += _line(topics, line)
    for zone in names.zones:
        parts += _zone(topics, zone)
    for component, name, entity in parts:
        common = {"device": _device(topics)}
        if component != "device_automation":  # which is no entity
            common |= _identity(topics, name)
        yield f"{discovery}/{component}/edge_{topics.camera}/{name}/config", entity | common


def discovery_filter(topics: Topics, discovery: str) -> str:
    """The topics of all entities that this camera has or had."""
    return f"{discovery}/+/edge_{topics.camera}/+/config"


def _rules(topics: Topics, names: Names) -> Iterator[Named]:
    for rule in names.rules:
        yield (
            "binary_sensor",
            f"rule_{rule}",
            {"name": f"{rule} occupancy", "device_class": "occupancy",
             "state_topic": topics.occupancy(rule)},
        )  # fmt: skip
        yield (
            "device_automation",
            f"trigger_{rule}",
            {"automation_type": "trigger", "topic": topics.trigger(rule), "type": "trigger",
             "subtype": rule},
        )  # fmt: skip
    if names.rules:
        yield (
            "event",
            "trigger",
            {"name": "Trigger", "state_topic": topics.trigger_filter, "icon": "mdi:cctv",
             "event_types": list(names.rules), "value_template": EVENT},
        )  # fmt: skip


def _line(topics: Topics, line: str) -> Iterator[Named]:
    for direction, icon in (("in", "mdi:location-enter"), ("out", "mdi:location-exit")):
        yield (
            "sensor",
            f"line_{line}_{direction}",
            {"name": f"{line} {direction}", "state_topic": topics.line(line), "icon": icon,
             "value_template": f"{{{{ value_json.today_{direction} }}}}"} | TODAY,
        )  # fmt: skip


def _zone(topics: Topics, zone: str) -> Iterator[Named]:
    for name, title, template, rest in (
        ("objects", "objects", "{{ value_json.objects }}", MEASUREMENT),
        ("stays", "stays today", "{{ value_json.today_stays }}", TODAY),
        (
            "stay",
            "mean stay today",
            "{{ (value_json.today_stay_s / ([value_json.today_stays, 1] | max)) | round(1) }}",
            MEASUREMENT | {"device_class": "duration", "unit_of_measurement": "s"},
        ),
    ):
        sensor = {"name": f"{zone} {title}", "state_topic": topics.zone(zone)}
        yield "sensor", f"zone_{zone}_{name}", sensor | {"value_template": template} | rest


def _pictures(topics: Topics) -> Iterator[Named]:
    for name, title, topic in (
        ("last_trigger", "Last trigger", topics.image),
        ("last_scene", "Last scene", topics.scene),
    ):
        yield "image", name, {"name": title, "image_topic": topic, "content_type": "image/jpeg"}


def _controls(topics: Topics) -> Iterator[Named]:
    yield (
        "button",
        "capture",
        {"name": "Capture", "command_topic": topics.command("capture"), "icon": "mdi:camera"},
    )
    yield (
        "switch",
        "pause",
        {"name": "Pause", "command_topic": topics.command("pause"), "state_topic": topics.paused,
         "icon": "mdi:pause"},
    )  # fmt: skip


def _health(topics: Topics) -> Iterator[Named]:
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
        yield "sensor", name, sensor | rest | MEASUREMENT | DIAGNOSTIC


def _identity(topics: Topics, name: str) -> Entity:
    # No name of a camera has a dot, so that no two cameras have the same ids.
    return {
        "unique_id": f"edge_{topics.camera}.{name}",
        "availability_topic": topics.availability,
        "origin": {"name": "edge-trigger", "sw_version": __version__},
    }


def _device(topics: Topics) -> Entity:
    return {
        "identifiers": [f"edge_{topics.camera}"],
        "name": topics.camera,
        "manufacturer": "edge-trigger",
        "sw_version": __version__,
    }
