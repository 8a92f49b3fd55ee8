"""`edge view`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from edge.commands.options import FILE, client_keys, configured, keyed, settings_of

CONTROL_S = 3.0  # a command that isn't answered by then has failed
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


@click.command()
@configured
@click.option("--endpoint", metavar="ENDPOINT", help="bus.control; default: the configuration's.")
@keyed
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the page is; port 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="Whoever has its first line is let in; made if it isn't there.",
)
@click.option(
    "--width",
    type=click.IntRange(64, 8192),
    default=960,
    show_default=True,
    help="Of the picture, at most; in pixels.",
)
def view(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: str | None,
    key: Path | None,
    server_key: Path | None,
    listen: str,
    token_file: Path | None,
    width: int,
) -> None:  # fmt: skip
    """Serves a page that shows what the camera sees, and edits zones, masks and motion."""
    import functools

    from edge.bus.endpoint import control_endpoint
    from edge.client import Control
    from edge.config import load as configuration
    from edge.config.edit import SettingsFile
    from edge.runtime.signals import until_signal
    from edge.web import server
    from edge.web.access import Token
    from edge.web.camera import Camera
    from edge.web.captures import Captures

    settings = settings_of(config, assignments)
    endpoint = endpoint or control_endpoint(settings.bus)
    if not endpoint:
        raise click.UsageError("this configuration has no bus.control; say --endpoint")
    make_control = functools.partial(
        Control, endpoint, keys=client_keys(key, server_key), timeout_s=CONTROL_S
    )
    host, port = address(listen)
    token = token_for(host, token_file)
    file = config or configuration.found()
    with server.listen(host, port) as listening:
        port = listening.getsockname()[1]
        parts = server.Parts(
            Camera(make_control, width),
            Captures(Path(settings.capture.directory), settings.camera),
            None if file is None else SettingsFile(file),
            None if token is None else Token(token, port),
        )
        click.echo(page_address(host, port, token))
        with until_signal():  # the server hears them too, and gives them back when it has ended
            server.serve(server.make_app(parts), listening)


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, or `[HOST]:PORT` of IPv6. Raises click.UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"--listen {text}: write HOST:PORT, for instance 127.0.0.1:8080")
    return host, int(port)


def token_for(host: str, file: Path | None) -> str | None:
    """Raises click.UsageError for an address that needs one, and ConfigError for a bad file."""
    from edge.web.access import is_loopback, read_token

    if file is not None:
        return read_token(file)
    if not is_loopback(host):
        raise click.UsageError(
            f"--listen {host}: others can reach that address, so that a token is needed: "
            "--token-file FILE"
        )
    return None


def page_address(host: str, port: int, token: str | None) -> str:
    """What to open; the token in it only for a person at a terminal, not for a log."""
    named = socket.gethostname() if host in EVERYWHERE else host
    shown = f"[{named}]" if ":" in named else named
    fragment = f"#token={token}" if token is not None and sys.stdout.isatty() else ""
    return f"http://{shown}:{port}/{fragment}"
