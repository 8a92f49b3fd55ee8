"""The cameras of this machine's services: /etc/edge/CAMERA.toml for `edge@CAMERA`.

CAMERA.env beside it has the ports of the services of that camera that listen on TCP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from edge.config.instances import INSTALLED, instances
from edge.config.load import load
from edge.config.schema import Settings
from edge.config.starter import Answers, starter
from edge.config.words import toml_value
from edge.errors import ConfigError

FOLDER: Final = INSTALLED
MAX_CAMERAS: Final = 64  # files that are compared; a Pi has processor time for a few
VIEW_PORT, METRICS_PORT = 8080, 9464  # of the first camera; further ones count up
VIEW = re.compile(r"(?m)^EDGE_VIEW_LISTEN=.*:(\d+)\s*$")
PORT = re.compile(r"(?m)^EDGE_(?:VIEW_LISTEN|METRICS_PORT)=(?:.*:)?(\d+)\s*$")


def cameras(folder: Path = FOLDER) -> list[Path]:
    """The configuration files of the services, in the order of their names."""
    return [file for file in instances(folder).values() if file.is_file()][:MAX_CAMERAS]


def new_camera(
    name: str, source: str, watch_for: tuple[str, ...] = ("people",), model: str | None = None
) -> str:
    """The text of the configuration of a new camera, in the folders of its service."""
    directory = f"/var/lib/edge/{name}/captures"
    text = starter(Answers(source, watch_for, captures=directory, camera=name, model=model))
    return placed(text, "bus", "endpoint", f"ipc:///run/edge/{name}/bus")


def placed(text: str, section: str, key: str, value: object) -> str:
    """The text of a configuration with a key of a section set; comments stay."""
    line = f"{key} = {toml_value(value)}"
    header = re.search(rf"(?m)^#?\[{re.escape(section)}\][^\n]*\n?", text)
    if header is None:
        return f"{text.rstrip()}\n\n[{section}]\n{line}\n"
    opened = header.group().removeprefix("#").rstrip("\n") + "\n"
    rest = text[header.end() :]
    end = re.search(r"(?m)^#?\[", rest)
    body, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    body, changed = re.subn(rf"(?m)^#?{re.escape(key)} = .*$", lambda _: line, body, count=1)
    return text[: header.start()] + opened + (body if changed else f"{line}\n{body}") + after


def new_ports(name: str, folder: Path = FOLDER) -> str:
    """The text of the file NAME.env for a new camera: ports that no other camera there uses."""
    taken = {int(port) for file in folder.glob("*.env") for port in PORT.findall(_text(file))}
    if any(not file.with_suffix(".env").exists() for file in cameras(folder) if file.stem != name):
        taken |= {VIEW_PORT, METRICS_PORT}  # the units' own, for a camera of an older version
    step = next(n for n in count() if not {VIEW_PORT + n, METRICS_PORT + n} & taken)
    return (
        "# Addresses of services of this camera; a restart of the service uses a new one.\n"
        "# edge-view@: 127.0.0.1 instead of 0.0.0.0 admits programs of this machine only.\n"
        f"EDGE_VIEW_LISTEN=0.0.0.0:{VIEW_PORT + step}\n"
        "# edge-prometheus@\n"
        f"EDGE_METRICS_HOST=127.0.0.1\nEDGE_METRICS_PORT={METRICS_PORT + step}\n"
    )


def view_ports(file: Path, folder: Path = FOLDER) -> dict[str, int]:
    """Ports of the pages of all cameras of the services, by name.

    Empty for a file that is not in `folder`. A page may be stopped.
    """
    if file.resolve().parent != folder.resolve():
        return {}
    listens = {one.stem: VIEW.search(_text(one.with_suffix(".env"))) for one in cameras(folder)}
    return {name: int(found[1]) if found else VIEW_PORT for name, found in listens.items()}


def clashes(file: Path | None, settings: Settings, folder: Path = FOLDER) -> list[str]:
    """A sentence for each address or folder that another camera of the services uses too.

    A copied file keeps the addresses of its original. Empty for a file that is not in `folder`.
    """
    if file is None or file.resolve().parent != folder.resolve():
        return []
    return [
        f"{file}: {key}: {value} is used by {other} too; {advice}"
        for other in cameras(folder)
        if other.resolve() != file.resolve()
        for key, value, advice in _shared(settings, other, file.stem)
    ]


def refuse_copy(file: Path | None, settings: Settings, folder: Path = FOLDER) -> None:
    """Raises ConfigError for a copy that still has the addresses of its original.

    The original, whose name is in its own addresses, is never refused.
    """
    if file is None or (settings.camera == file.stem and file.stem in settings.bus.endpoint):
        return
    if problems := clashes(file, settings, folder):
        raise ConfigError(problems)


def _shared(settings: Settings, other: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """Key, value and advice for what the settings share with those of another file."""
    try:
        others = load(other)
    except ConfigError:  # `edge check-config` reports it for that file
        return
    if settings.bus.endpoint == others.bus.endpoint:
        yield "bus.endpoint", settings.bus.endpoint, f'write "ipc:///run/edge/{name}/bus"'
    if settings.camera == others.camera:
        yield "camera", settings.camera, f'write "{name}"'
        if _captures(settings) == _captures(others):
            advice = f'write "/var/lib/edge/{name}/captures"'
            yield "capture.directory", settings.capture.directory, advice
    if settings.mqtt.spool and settings.mqtt.spool == others.mqtt.spool:
        yield "mqtt.spool", settings.mqtt.spool, "name another file"


def _captures(settings: Settings) -> Path:
    return Path(settings.capture.directory).absolute()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
