"""`edge view`."""

from __future__ import annotations

import functools
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, client_keys, keyed, service, settings_of

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.web.camera import Camera
    from edge.web.server import Parts

CONTROL_S = 3.0  # longest wait for a reply before the page reports that none came
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


@click.command(
    epilog="\b\nExamples:\n  edge view -c edge.toml\n"
    "  edge view --listen 0.0.0.0:8080 --token-file view-token"
)
@service
@click.option("--endpoint", metavar="ENDPOINT", help="Default: bus.control of the configuration.")
@keyed
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Address of the page; port 0 takes a free port.",
)
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="Admit only people with the token in its first line. Created if it does not exist.",
)
@click.option(
    "--width",
    type=click.IntRange(64, 8192),
    default=960,
    show_default=True,
    metavar="PX",
    help="Largest width of the picture.",
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
) -> None:
    """Serve a web page to aim and tune the camera.

    The page shows the picture with motion, regions and tracks, edits zones, masks, rules and motion
    settings, and lists captures. It connects to a running daemon.
    """
    from edge.config import load
    from edge.runtime.signals import until_signal
    from edge.web import server

    settings = settings_of(config, assignments)
    camera = _camera(settings, endpoint, key, server_key, width)
    host, port = address(listen)
    token = token_for(host, token_file)
    with server.listen(host, port) as listening:
        port = listening.getsockname()[1]
        parts = _parts(settings, camera, config or load.default_path(), token, port)
        click.echo(page_address(host, port, token))
        with until_signal():  # the server handles signals, and raises them again when it ends
            server.serve(server.make_app(parts), listening)


def _camera(
    settings: Settings, endpoint: str | None, key: Path | None, server_key: Path | None, width: int
) -> Camera:
    """Raises click.UsageError if no endpoint is known."""
    from edge.bus.endpoint import control_endpoint
    from edge.bus.presence import listens
    from edge.client import Control
    from edge.web.camera import Camera

    endpoint = endpoint or control_endpoint(settings.bus)
    if not endpoint:
        raise click.UsageError("no address for commands: set bus.control or give --endpoint")
    listens(endpoint)  # a missing permission is reported now; a daemon may start later
    keys = client_keys(key, server_key)
    return Camera(functools.partial(Control, endpoint, keys=keys, timeout_s=CONTROL_S), width)


def _parts(
    settings: Settings, camera: Camera, file: Path | None, token: str | None, port: int
) -> Parts:
    from edge.web.access import Token
    from edge.web.captures import Captures
    from edge.web.server import Parts
    from edge.web.settings_file import SettingsFile

    return Parts(
        camera,
        Captures(Path(settings.capture.directory), settings.camera),
        None if file is None else SettingsFile(file),
        None if token is None else Token(token, port),
    )


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or, for IPv6, `[HOST]:PORT`. Raises click.UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"--listen {text}: write HOST:PORT, such as 127.0.0.1:8080")
    return host, int(port)


def token_for(host: str, file: Path | None) -> str | None:
    """The token, or None where none is needed.

    Raises click.UsageError for an address that needs one, and ConfigError for a bad file.
    """
    from edge.web.access import is_loopback, read_token

    if file is not None:
        return read_token(file)
    if not is_loopback(host):
        raise click.UsageError(
            f"--listen {host}: other machines can reach this address, so a token is needed: "
            "--token-file FILE"
        )
    return None


def page_address(host: str, port: int, token: str | None) -> str:
    """The address to open; it contains the token only on a terminal, never in a log."""
    name = socket.gethostname() if host in EVERYWHERE else host
    name = f"[{name}]" if ":" in name else name
    fragment = f"#token={token}" if token is not None and sys.stdout.isatty() else ""
    return f"http://{name}:{port}/{fragment}"
