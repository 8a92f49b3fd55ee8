"""`edge models`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, FOLDER


@click.group()
def models() -> None:
    """Lists, describes and fetches models."""


@models.command("list")
def list_models() -> None:
    """Lists the models of the catalogue and those installed."""
    from edge.vision.detector.catalogue import installed_models, load_catalog

    installed, catalog = installed_models(), load_catalog()
    for name in sorted({*installed, *catalog}):
        state = str(installed[name]) if name in installed else f"edge models fetch {name}"
        about = catalog[name].description if name in catalog else "your own"
        click.secho(name, bold=True)
        click.echo(f"  {about}\n  {state}")


@models.command()
@click.argument("name")
def info(name: str) -> None:
    """Tells what a model file is: size, hash, input, labels."""
    from edge.vision.detector.catalogue import model_info

    model = model_info(name)
    labels = ", ".join(model.labels[:12]) + (" …" if len(model.labels) > 12 else "")
    click.echo(
        f"file     {model.path}\nsize     {model.size_bytes} bytes\nsha256   {model.sha256}\n"
        f"boxes    {model.decoding}\nlabels   {len(model.labels)}: {labels}"
    )


@models.command()
@click.argument("name")
@click.option("--from", "from_file", type=FILE, metavar="FILE", help="A copy already at hand.")
@click.option("--dir", "directory", type=FOLDER, metavar="DIR", help="Where to install it.")
def fetch(name: str, from_file: Path | None, directory: Path | None) -> None:
    """Downloads a model of the catalogue, verifies and installs it."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.vision.detector import catalogue as catalog

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        path = catalog.fetch(
            name,
            directory,
            from_file,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo(path)
