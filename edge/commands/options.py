"""Options that commands share, and the settings that result from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.bus.keys import ClientKeys
    from edge.config.schema import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
CONFIGURATION = click.Path(dir_okay=False, readable=False, path_type=Path)  # `settings_of` reads it
FOLDER = click.Path(file_okay=False, path_type=Path)


def configured(command: Command) -> Command:
    """Adds --config and --set; `settings_of` takes their values."""
    for option in (
        click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
                     help="Replace one key, for example motion.sensitivity=1.5."),
        click.option("--config", "-c", type=CONFIGURATION, metavar="FILE",
                     help="Default: $EDGE_CONFIG, ./edge.toml, /etc/edge/edge.toml."),
    ):  # fmt: skip
        command = option(command)
    return command


def service(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --config, --set and --camera, which choose a daemon of this machine.

    `command` receives the file that they choose as `config`; None if nothing is configured.
    """

    @configured
    @click.option("--camera", metavar="NAME", help="The installed camera, if there are several.")
    @functools.wraps(command)
    def chosen(config: Path | None, camera: str | None, **rest: Any) -> None:
        command(config=service_file(config, camera, needed=not rest.get("endpoint")), **rest)

    return chosen


def service_file(config: Path | None, camera: str | None, *, needed: bool = True) -> Path | None:
    """The file of the daemon that the options choose.

    needed: false if the command line has an address. Raises ConfigError for several instances
    without a name.
    """
    if config is not None and camera is not None:
        raise click.UsageError("--config and --camera both choose a configuration; give only one")
    if config is not None or (camera is None and not needed):
        return config
    from edge.config.instances import find

    return find(camera)


def settings_of(
    config: Path | None,
    assignments: tuple[str, ...],
    *,
    fallbacks: Mapping[str, object] | None = None,
    **named: object,
) -> Settings:
    """The settings of a file with the command line's overrides.

    fallbacks: values in place of the defaults, by key. named: values of a command's other options,
    by key with `__` for `.`; None and False change nothing. Raises ConfigError with every problem.
    """
    overrides: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(
                f"--set {assignment}: write KEY=VALUE, such as motion.sensitivity=1.5"
            )
        overrides[key.strip()] = value
    overrides |= {k.replace("__", "."): v for k, v in named.items() if v not in (None, False)}
    return loaded(config, overrides, fallbacks)


def loaded(
    config: Path | None,
    overrides: Mapping[str, object] | None = None,
    fallbacks: Mapping[str, object] | None = None,
) -> Settings:
    """As `edge.config.load.load`, and a missing permission is reported with its cure."""
    from edge.config.load import load

    try:
        return load(config, overrides, fallbacks)
    except ConfigError as error:
        if config is None or not isinstance(error.__cause__, PermissionError):
            raise
        from edge.runtime.permission import cure

        raise ConfigError(f"{error}: {cure(config)}") from error


def keyed(command: Command) -> Command:
    """Adds --key and --server-key, for a connection over TCP; `client_keys` takes their values."""
    for option in (
        click.option("--server-key", type=FILE, metavar="FILE",
                     help="tcp:// only: the daemon's .key file."),
        click.option("--key", type=FILE, metavar="FILE",
                     help="tcp:// only: your own .key_secret file."),
    ):  # fmt: skip
        command = option(command)
    return command


def client_keys(key: Path | None, server_key: Path | None) -> ClientKeys | None:
    """The keys in both files; None if neither option is given. Raises BusError for bad files."""
    if key is None and server_key is None:
        return None
    if key is None or server_key is None:
        raise click.UsageError("--key and --server-key belong together; give both")
    from edge.bus.keys import ClientKeys

    return ClientKeys.read(key, server_key)
