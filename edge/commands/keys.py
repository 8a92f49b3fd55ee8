"""`edge keys`: the clients that may connect over TCP."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FOLDER, configured, settings_of

FILE_THERE = click.Path(exists=True, dir_okay=False, path_type=Path)
KEYS = click.option("--keys", "folder", type=FOLDER, help="Default: bus.keys.")


@click.group("keys")
def keys() -> None:
    """Makes CURVE keys and manages the allowed ones. A running daemon applies changes at once."""


@keys.command()
@click.argument("name", default="server")
@configured
@KEYS
def new(name: str, config: Path | None, assignments: tuple[str, ...], folder: Path | None) -> None:
    """Makes the daemon's key pair, or with NAME a client's, in the current folder."""
    from edge.bus.keys import SERVER, new_pair

    if name == SERVER:
        path = new_pair(_folder(folder, config, assignments), name)
        click.echo(f"{path} made; clients need {path.with_suffix('.key').name}, beside it")
    else:
        path = new_pair(folder or Path(), name)
        click.echo(f"{path} made; on the daemon's machine: edge keys allow {name}.key")


@keys.command("list")
@configured
@KEYS
def list_keys(config: Path | None, assignments: tuple[str, ...], folder: Path | None) -> None:
    """Prints each allowed client with its public key."""
    from edge.bus.keys import allowed

    for name, key in allowed(_folder(folder, config, assignments)).items():
        click.echo(f"{name}  {key.decode()}")


@keys.command()
@click.argument("certificate", type=FILE_THERE)
@click.option("--name", help="Name of the client. Default: the file's.")
@configured
@KEYS
def allow(
    certificate: Path,
    name: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Lets the client with the public key in the file CERTIFICATE connect."""
    from edge.bus.keys import allow as allow_key

    name = allow_key(_folder(folder, config, assignments), certificate, name)
    click.echo(f"{name} is allowed")


@keys.command()
@click.argument("name")
@configured
@KEYS
def revoke(
    name: str, config: Path | None, assignments: tuple[str, ...], folder: Path | None
) -> None:
    """Removes the client NAME from the allowed ones, and disconnects it."""
    from edge.bus.keys import revoke as revoke_key

    revoke_key(_folder(folder, config, assignments), name)
    click.echo(f"{name} is no longer allowed")


def _folder(folder: Path | None, config: Path | None, assignments: tuple[str, ...]) -> Path:
    folder = folder or Path(settings_of(config, assignments).bus.keys)
    if folder == Path():
        raise click.UsageError("give the folder with --keys, or set bus.keys in the configuration")
    return folder
