"""Options that commands share, and the settings made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edge.bus.keys import ClientKeys
    from edge.config.schema import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def configured(command: Command) -> Command:
    """The options from which every command makes its settings."""
    for option in (
        click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
                     help="Overrides a key, for instance motion.sensitivity=1.5."),
        click.option("--config", "-c", type=FILE, metavar="FILE",
                     help="Default: $EDGE_CONFIG, ./edge.toml, /etc/edge/edge.toml."),
    ):  # fmt: skip
        command = option(command)
    return command


def settings_of(config: Path | None, assignments: tuple[str, ...], **named: object) -> Settings:
    """A file's settings and the command line's overrides; `named` has `__` for the `.` of a key."""
    from edge.config.load import load

    overrides: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {assignment}: write KEY=VALUE")
        overrides[key.strip()] = value
    overrides |= {k.replace("__", "."): v for k, v in named.items() if v not in (None, False)}
    return load(config, overrides)


def keyed(command: Command) -> Command:
    """The options of a command that connects to a daemon; `client_keys` takes their values."""
    for option in (
        click.option("--server-key", type=FILE, metavar="FILE", help="tcp://: the daemon's key."),
        click.option("--key", type=FILE, metavar="FILE", help="tcp://: your own .key_secret."),
    ):
        command = option(command)
    return command


def client_keys(key: Path | None, server_key: Path | None) -> ClientKeys | None:
    """None where neither is given. Raises BusError for files that are no keys."""
    if key is None and server_key is None:
        return None
    if key is None or server_key is None:
        raise click.UsageError("--key and --server-key belong together")
    from edge.bus.keys import ClientKeys

    return ClientKeys.read(key, server_key)
