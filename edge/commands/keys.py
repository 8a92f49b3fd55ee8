"""`edge keys`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FOLDER, configured, settings_of

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
KEYS = click.option("--keys", "folder", type=FOLDER, help="Default: bus.keys.")


@click.group("keys")
def keys() -> None:
    """Create keys for TCP and allow or revoke clients.

    A running daemon applies changes at once.
    """


@keys.command()
@click.argument("name", default="server")
@configured
@KEYS
def new(name: str, config: Path | None, assignments: tuple[str, ...], folder: Path | None) -> None:
    """Create the daemon's key pair, or the key pair of the client NAME in the current folder."""
    from edge.bus.keys import SERVER, new_pair

    if name == SERVER:
        path = new_pair(_folder(folder, config, assignments), name)
        click.echo(f"{path} created; clients need {path.with_suffix('.key').name} beside it")
    else:
        path = new_pair(folder or Path(), name)
        click.echo(f"{path} created; on the daemon's machine, run: edge keys allow {name}.key")


@keys.command("list")
@configured
@KEYS
def list_keys(config: Path | None, assignments: tuple[str, ...], folder: Path | None) -> None:
    """Print each allowed client with its public key."""
    from edge.bus.keys import allowed

    for name, key in allowed(_folder(folder, config, assignments)).items():
        click.echo(f"{name}  {key.decode()}")


@keys.command()
@click.argument("certificate", type=EXISTING_FILE)
@click.option("--name", help="Name of the client. Default: the name of the file.")
@configured
@KEYS
def allow(
    certificate: Path,
    name: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Allow the client whose public key is in the file CERTIFICATE."""
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
    """Revoke the client NAME, and disconnect it."""
    from edge.bus.keys import revoke as revoke_key

    revoke_key(_folder(folder, config, assignments), name)
    click.echo(f"{name} is no longer allowed")


def _folder(folder: Path | None, config: Path | None, assignments: tuple[str, ...]) -> Path:
    folder = folder or Path(settings_of(config, assignments).bus.keys)
    if folder == Path():
        raise click.UsageError("give the folder with --keys, or set bus.keys in the configuration")
    return folder
