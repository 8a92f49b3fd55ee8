"""`edge export`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.options import FILE, FOLDER, configured, settings_of

if TYPE_CHECKING:
    from edge.export.groups import Group


@click.group()
def export() -> None:
    """Gives captures to other programs: research, spreadsheets, training."""


def exporting(act: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say which captures; `act` is given them and their folder."""

    @configured
    @click.option("--captures", type=FOLDER, metavar="DIR", help="Default: the configuration's.")
    @click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera's.")
    @click.option("--since", type=click.DateTime(), metavar="DATE", help="From this local time on.")
    @click.option("--until", type=click.DateTime(), metavar="DATE", help="Before this local time.")
    @functools.wraps(act)
    def command(
        config: Path | None,
        assignments: tuple[str, ...],
        captures: Path | None,
        cameras: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **rest: Any,
    ) -> None:
        from edge.export.groups import Choice, groups

        root = captures or Path(settings_of(config, assignments).capture.directory)
        local = [time and time.astimezone() for time in (since, until)]
        act(groups(root, Choice(cameras, *local)), root=root, **rest)

    return command


@export.command("camtrap-dp")
@click.argument("out", type=FOLDER)
@exporting
@click.option("--location", "locations", multiple=True, metavar="CAMERA=LAT,LON",
              help="Where a camera stands.")  # fmt: skip
@click.option("--about", type=FILE, metavar="TOML", help="The study: see docs/export.md.")
def camtrap_dp(
    groups: Iterator[Group],
    root: Path,  # noqa: ARG001
    out: Path,
    locations: tuple[str, ...],
    about: Path | None,
) -> None:
    """Makes the new folder OUT: a Camera Trap Data Package 1.0.2."""
    import msgspec

    from edge.export.about import About, location, read_about
    from edge.export.camtrap_dp import write_camtrap_dp

    study = read_about(about) if about else About()
    deployments = study.deployments | dict(map(location, locations))
    study = msgspec.structs.replace(study, deployments=deployments)
    made = write_camtrap_dp(out, groups, study)
    click.echo(
        f"{out}: {len(made.deployments)} deployments, {len(made.media)} media, "
        f"{len(made.observations)} observations"
    )


@export.command("csv")
@click.argument("out", type=FILE)
@exporting
def table(groups: Iterator[Group], root: Path, out: Path) -> None:
    """Writes a row for each event to OUT; - is standard output."""
    import io

    from edge.export.table import write_csv
    from edge.runtime.files import write_file

    if str(out) == "-":
        write_csv(sys.stdout, groups, root)
        return
    text = io.StringIO()
    rows = write_csv(text, groups, root)
    write_file(out, text.getvalue().encode())
    click.echo(f"{out}: {rows} events")


@export.command()
@click.argument("out", type=FILE)
@exporting
def coco(groups: Iterator[Group], root: Path, out: Path) -> None:
    """Writes the stills with the boxes that triggered them to OUT, as COCO annotations."""
    from edge.export.coco import coco as document_of
    from edge.export.coco import encode_coco
    from edge.runtime.files import write_file

    document = document_of(groups, root)
    write_file(out, encode_coco(document))
    click.echo(f"{out}: {len(document['images'])} images, {len(document['annotations'])} boxes")
