"""`edge camera`: the cameras of this machine's services."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import click

from edge.commands.options import FOLDER

USER = "edge"  # of the services
ASKED_S = 5.0  # longest wait for systemctl
AVAHI = Path("/run/avahi-daemon/socket")  # there while Avahi announces the name of this machine
rooted = click.option(
    "--root", type=FOLDER, default="/", metavar="DIR", help="Folder of another system's card."
)


@click.group()
def camera() -> None:
    """Add, list and remove the cameras of this machine's services."""


@camera.command()
@click.argument("name")
@click.option("--source", metavar="URI", help="Default: the camera that is connected.")
@click.option(
    "--watch-for",
    multiple=True,
    default=("people",),
    metavar="OBJECTS",
    help="people, animals, vehicles, or labels such as cat,dog: a rule for each. Repeatable.",
)
@click.option("--model", metavar="MODEL", help="Default: the smallest that detects these objects.")
@rooted
def add(
    name: str, source: str | None, watch_for: tuple[str, ...], model: str | None, root: Path
) -> None:
    """Write the configuration of a new camera, /etc/edge/NAME.toml, for its service edge@NAME."""
    from edge.config.cameras import new_camera, new_ports
    from edge.config.load import loads
    from edge.sources.connected import likely

    folder = _folder(root)
    loads("", overrides={"camera": name})
    text = new_camera(name, source or likely(), watch_for, model)
    settings = loads(text)
    _write(folder / f"{name}.toml", text)
    _write(folder / f"{name}.env", new_ports(name, folder))
    click.echo(f"{folder / f'{name}.toml'} written: {settings.source.name}")
    click.echo(f"to start it: sudo systemctl enable --now edge@{name} edge-view@{name}")
    click.echo("its page: sudo edge camera list")


@camera.command("list")
@rooted
def list_cameras(root: Path) -> None:
    """Print each camera with its source, the state of its service and the address of its page."""
    from edge.config.cameras import cameras
    from edge.config.load import load
    from edge.errors import ConfigError

    files = cameras(_folder(root))
    if not files:
        click.echo("no camera yet: sudo edge camera add cam0")
    for file in files:
        try:
            source = load(file).source.name
        except ConfigError:
            source = f"faulty: edge check-config {file}"
        click.echo(f"{file.stem}  {_state(file.stem)}  {source}  {_page(file, root)}".rstrip())


@camera.command()
@click.argument("name")
@rooted
def remove(name: str, root: Path) -> None:
    """Delete the configuration of a camera. Its captures stay."""
    from edge.errors import PermanentError
    from edge.runtime.files import file_errors

    folder = _folder(root)
    file = folder / f"{name}.toml"
    if "/" in name or not file.is_file():
        raise PermanentError(f"there is no camera {name} in {folder}; see: edge camera list")
    if _state(name) not in ("inactive", "failed", "unknown"):
        stop = f"sudo systemctl disable --now edge@{name} 'edge-*@{name}'"
        raise PermanentError(f"edge@{name} is running; stop it first: {stop}")
    with file_errors(file, "deleted"):
        file.unlink()
        file.with_suffix(".env").unlink(missing_ok=True)
    click.echo(f"{file} deleted; captures, if any, stay in /var/lib/edge/{name}")


def _folder(root: Path) -> Path:
    from edge.config.cameras import FOLDER

    return root / FOLDER.relative_to("/")


def _write(file: Path, text: str) -> None:
    """Writes a new file that the services' user can write too. Raises PermanentError."""
    from edge.errors import PermanentError
    from edge.runtime.files import explain, write_atomic

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text.encode(), replace=False, mode=0o640)
        with suppress(LookupError, PermissionError):  # no such user yet, or not root
            shutil.chown(file, USER, USER)
    except FileExistsError as error:
        raise PermanentError(f"{file} exists already: choose another name") from error
    except PermissionError as error:
        raise PermanentError(f"{file} can't be written by this user: use sudo") from error
    except OSError as error:
        raise PermanentError(f"{file} could not be written: {explain(error)}") from error


def _state(name: str) -> str:
    """The state of the camera's service as systemd calls it; unknown without systemd."""
    if not Path("/run/systemd/system").is_dir():
        return "unknown"
    try:
        asked = ["systemctl", "is-active", f"edge@{name}"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ASKED_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _page(file: Path, root: Path) -> str:
    """The address of the page with its token, or the command that leads to it."""
    from edge.config.cameras import VIEW_PORT

    token = root / "var/lib/edge" / file.stem / "view-token"
    ports = file.with_suffix(".env")
    try:
        text = ports.read_text() if ports.exists() else ""
        secret = token.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return f"no page yet: sudo systemctl enable --now edge-view@{file.stem}; it takes a moment"
    except PermissionError:
        return "page: sudo edge camera list"
    except (OSError, UnicodeDecodeError) as error:
        return f"no page: {token} can't be read: {error}"
    match = re.search(r"(?m)^EDGE_VIEW_LISTEN=(.*):(\d+)\s*$", text)
    host, port = (match[1], match[2]) if match else ("0.0.0.0", VIEW_PORT)  # noqa: S104
    host = _host_name() if host in ("0.0.0.0", "[::]") else host  # noqa: S104
    return f"http://{host}:{port}/#token={secret}"


def _host_name() -> str:
    """The name by which other machines find this one; Avahi announces it under `.local`."""
    name = socket.gethostname()
    return f"{name}.local" if "." not in name and AVAHI.exists() else name
