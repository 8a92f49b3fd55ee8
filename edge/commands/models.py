"""`edge models`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, FOLDER, configured, settings_of
from edge.commands.progress import progress_bar


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
@click.argument("model", required=False)
@click.option("--try", "picture", type=FILE, metavar="IMAGE", help="Show what it finds in IMAGE.")
@click.option("--out", type=FILE, metavar="FILE", help="With --try: write IMAGE with its boxes.")
@click.option("--min-score", type=click.FloatRange(0, 1), metavar="SCORE", help="With --try.")
@configured
def info(
    model: str | None,
    picture: Path | None,
    out: Path | None,
    min_score: float | None,
    config: Path | None,
    assignments: tuple[str, ...],
) -> None:
    """Open MODEL and describe it: input, range, layout, labels, groups and time here.

    MODEL is a name from `edge models list`, or a file. Without it, the model of the configuration
    is opened. Settings of the section `model` apply.
    """
    from edge.runtime.printable import printable
    from edge.tools.model_report import describe, try_picture
    from edge.vision.detector import Detector
    from edge.vision.detector.catalogue import find_model

    if out is not None and picture is None:
        raise click.UsageError("--out needs --try IMAGE")
    settings = settings_of(config, assignments, model__file=model, model__min_score=min_score).model
    detector = Detector(settings, find_model(settings.file))
    for name, value in describe(detector):
        click.echo(f"{name:8} {printable(value)}")
    if picture is None:
        return
    found = try_picture(detector, picture, out)
    for label, score, (x0, y0, x1, y1) in found:
        click.echo(f"found    {printable(label)} {score:.2f} at {x0},{y0} to {x1},{y1}")
    if not found:
        click.echo(f"found    nothing with a score of {detector.min_score} or more")


@models.command()
@click.argument("name")
@click.option("--from", "from_file", type=FILE, metavar="FILE", help="Use a copy of the download.")
@click.option("--dir", "directory", type=FOLDER, metavar="DIR", help="Folder to install it in.")
@click.option("--sha256", default="", metavar="HEX", help="Hash, where the catalogue has none.")
def fetch(name: str, from_file: Path | None, directory: Path | None, sha256: str) -> None:
    """Download the model NAME of the catalogue, verify it and install it.

    NAME can also be the address (https://…) of a .tflite file or of a ZIP archive with one. An
    address needs --sha256, and so do models whose SHA-256 is not in the catalogue.
    """
    from edge.vision.detector import catalogue as catalog

    with progress_bar(name.rpartition("/")[2]) as update:
        path = catalog.fetch(name, directory, from_file, update, sha256)
    click.echo(path)
