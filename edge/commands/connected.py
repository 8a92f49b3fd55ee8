"""Options of the commands that need a running daemon, and the connection to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.options import client_keys, keyed, service, settings_of

if TYPE_CHECKING:
    from edge.client import Control


def commands(act: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that select a daemon, and calls `act` with a `Control` of it."""

    @editing
    @functools.wraps(act)
    def command(control: Control, configuration: Path | None, **rest: Any) -> None:
        del configuration
        act(control, **rest)

    return command


def editing(act: Callable[..., None]) -> Callable[..., None]:
    """As `commands`; `act` also receives the daemon's file as `configuration`.

    None if there is none, or if an endpoint was given, whose daemon may have any other file.
    """

    @service
    @click.option("--endpoint", metavar="ENDPOINT", help="Default: bus.control.")
    @keyed
    @click.option("--timeout", type=float, default=10.0, metavar="S",
                  help="Longest wait for a reply. Default: 10.")  # fmt: skip
    @functools.wraps(act)
    def command(
        config: Path | None,
        assignments: tuple[str, ...],
        endpoint: str | None,
        key: Path | None,
        server_key: Path | None,
        timeout: float,
        **rest: Any,
    ) -> None:
        from edge.bus.endpoint import control_endpoint
        from edge.bus.presence import require
        from edge.client import Control
        from edge.config.load import default_path

        file = config if endpoint else config or default_path()
        endpoint = endpoint or control_endpoint(settings_of(config, assignments).bus)
        if not endpoint:
            raise click.UsageError("this configuration has no bus.control; give --endpoint")
        keys = client_keys(key, server_key)
        require(endpoint)
        with Control(endpoint, keys=keys, timeout_s=timeout) as control:
            act(control, configuration=file, **rest)

    return command
