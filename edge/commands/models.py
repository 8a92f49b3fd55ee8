"""`edge models`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, FOLDER
from edge.commands.progress import progress_bar

SHOWN_LABELS = 12


@click.group(epilog="Example: edge models fetch coco_ssd_mobilenet_v1")
def models() -> None:
    """List, describe and download models."""


@models.command("list")
def list_models() -> None:
    """List the models of the catalogue and those that are installed."""
    from edge.vision.detector.catalogue import installed_models, load_catalog

    installed, catalog = installed_models(), load_catalog()
    for name in sorted({*installed, *catalog}):
        state = str(installed[name]) if name in installed else f"edge models fetch {name}"
        about = catalog[name].description if name in catalog else "not in the catalogue"
        click.secho(name, bold=True)
        click.echo(f"  {about}\n  {state}")


@models.command()
@click.argument("name")
def info(name: str) -> None:
    """Describe a model: file, size, hash, box decoding and labels.

    NAME is a name from `edge models list`, or a file.
    """
    from edge.runtime.printable import printable
    from edge.vision.detector.catalogue import model_info

    model = model_info(name)
    shown = [*model.labels[:SHOWN_LABELS], *(["…"] if len(model.labels) > SHOWN_LABELS else [])]
    facts = {
        "file": str(model.path),
        "size": f"{model.size_bytes} bytes",
        "sha256": model.sha256,
        "boxes": str(model.decoding),
        "labels": f"{len(model.labels)}: {', '.join(shown)}",
    }
    for fact, value in facts.items():
        click.echo(f"{fact:9}{printable(value)}")


@models.command()
@click.argument("name")
@click.option("--from", "from_file", type=FILE, metavar="FILE", help="Use a copy of the download.")
@click.option("--dir", "directory", type=FOLDER, metavar="DIR", help="Folder to install it in.")
def fetch(name: str, from_file: Path | None, directory: Path | None) -> None:
    """Download the model NAME of the catalogue, verify it and install it."""
    from edge.vision.detector import catalogue as catalog

    with progress_bar(name) as update:
        path = catalog.fetch(name, directory, from_file, update)
    click.echo(path)
