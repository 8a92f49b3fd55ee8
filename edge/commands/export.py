"""`edge export`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from edge.commands.options import FILE, FOLDER, configured, service_file, settings_of
from edge.commands.progress import working
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.export.counts import Period
    from edge.export.groups import Choice, Group

SHOWN: Final = 3  # unreadable files that are named


@click.group(epilog="Example: edge export csv events.csv --since 2025-06-01")
def export() -> None:
    """Export captures for research, spreadsheets or training.

    The captures are not changed, and no daemon needs to run.
    """


def choosing(export_to: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that choose captures; `export_to` receives their folder and the choice."""

    @configured
    @click.option("--captures", type=FOLDER, metavar="DIR",
                  help="Default: capture.directory of the configuration.")  # fmt: skip
    @click.option("--camera", "cameras", multiple=True, metavar="NAME",
                  help="Only captures of this camera; repeatable.")  # fmt: skip
    @click.option("--since", type=click.DateTime(), metavar="DATE",
                  help="Only captures from this local time on.")  # fmt: skip
    @click.option("--until", type=click.DateTime(), metavar="DATE",
                  help="Only captures before this local time.")  # fmt: skip
    @functools.wraps(export_to)
    def command(
        config: Path | None,
        assignments: tuple[str, ...],
        captures: Path | None,
        cameras: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **rest: Any,
    ) -> None:
        from edge.export.groups import Choice

        root = captures or _folder(config, cameras, assignments)
        span = [None if time is None else _zoned(time) for time in (since, until)]
        export_to(root=root, choice=Choice(cameras, *span), **rest)

    return command


def exporting(export_to: Callable[..., None]) -> Callable[..., None]:
    """As `choosing`, but `export_to` receives the captures and their folder."""

    @choosing
    @functools.wraps(export_to)
    def command(root: Path, choice: Choice, **rest: Any) -> None:
        from edge.export.groups import read_groups

        with working("reading the captures"):
            reading = read_groups(root, choice)
        export_to(reading.groups, root=root, **rest)
        _report_unreadable(reading.unreadable)

    return command


def _report_unreadable(paths: Sequence[Path]) -> None:
    if paths:
        shown = ", ".join(str(path) for path in paths[:SHOWN])
        more = ", …" if len(paths) > SHOWN else ""
        click.echo(
            f"files left out, as they are damaged or can't be read: {len(paths)} ({shown}{more})",
            err=True,
        )


def _write(out: Path, write: Callable[[IO[str]], int], rows: str) -> None:
    """Writes a table to a file, or to standard output if its name is `-`. rows: their name."""
    import io

    from edge.runtime.files import write_file

    if str(out) == "-":
        write(sys.stdout)
        sys.stdout.flush()  # a closed pipe fails here, where click ends the program quietly
        return
    text = io.StringIO()
    with working("writing the table"):
        number = write(text)
    write_file(out, text.getvalue().encode())
    click.echo(f"{out}: {number} {rows}")


def _folder(config: Path | None, cameras: tuple[str, ...], assignments: tuple[str, ...]) -> Path:
    """The folder of captures of the configuration; one camera's name also chooses an instance."""
    from edge.config.instances import instances
    from edge.config.load import default_path

    chooses = config is None and default_path() is None and len(cameras) == 1
    camera = cameras[0] if chooses and cameras[0] in instances() else None
    file = service_file(config, camera)
    return Path(settings_of(file, assignments).capture.directory)


def _zoned(time: datetime) -> datetime:
    """The local time with its zone. Raises ConfigError near the first and the last year."""
    try:
        return time.astimezone()
    except (OverflowError, ValueError, OSError) as error:
        raise ConfigError(f"--since and --until: the year {time.year} is out of range") from error


@export.command(
    "camtrap-dp", epilog="Example: edge export camtrap-dp visitors --location cam0=52.37403,4.88969"
)
@click.argument("out", type=FOLDER)
@exporting
@click.option("--location", "locations", multiple=True, metavar="CAMERA=LAT,LON",
              help="Position of a camera in degrees; repeatable.")  # fmt: skip
@click.option("--about", type=FILE, metavar="TOML", help="File that describes the study.")
def camtrap_dp(
    groups: Sequence[Group],
    root: Path,  # noqa: ARG001
    out: Path,
    locations: tuple[str, ...],
    about: Path | None,
) -> None:
    """Export a Camera Trap Data Package 1.0.2 to the new folder OUT.

    Each camera needs a position: from its [site] at the time of the capture, from --location, or
    from the file of --about, which docs/export.md describes.
    """
    from edge.export.about import About, read_about, with_locations
    from edge.export.camtrap_dp import write_camtrap_dp

    study = with_locations(read_about(about) if about else About(), locations)
    with working("writing the package"):
        tables = write_camtrap_dp(out, groups, study)
    click.echo(
        f"{out}: {len(tables.deployments)} deployments, {len(tables.media)} media, "
        f"{len(tables.observations)} observations"
    )
    if tables.lost:
        click.echo(f"files left out, as they were deleted meanwhile: {len(tables.lost)}", err=True)


@export.command("csv")
@click.argument("out", type=FILE)
@exporting
def table(groups: Sequence[Group], root: Path, out: Path) -> None:
    """Export a CSV table with a row for each event to OUT.

    Give - as OUT for standard output.
    """
    from edge.export.table import write_csv

    _write(out, lambda text: write_csv(text, groups, root), "events")


@export.command(epilog="Example: edge export counts counts.csv --by day --since 2025-06-01")
@click.argument("out", type=FILE)
@choosing
@click.option("--by", type=click.Choice(["hour", "day"]), default="hour", show_default=True,
              help="Length of a period, in the camera's local time.")  # fmt: skip
def counts(root: Path, choice: Choice, out: Path, by: Period) -> None:
    """Export a CSV table of triggers, crossings and stays by hour or day to OUT.

    Give - as OUT for standard output.
    """
    from edge.export.counts import read_counts, write_counts

    with working("reading the tables"):
        read = read_counts(root, choice, by)
    _write(out, lambda text: write_counts(text, read), "rows")
    _report_unreadable(read.unreadable)


@export.command()
@click.argument("out", type=FILE)
@exporting
def coco(groups: Sequence[Group], root: Path, out: Path) -> None:
    """Export stills and their boxes to OUT as COCO annotations."""
    from edge.export.coco import coco as document_of
    from edge.export.coco import encode_coco
    from edge.runtime.files import write_file

    with working("writing the annotations"):
        document = document_of(groups, root)
        write_file(out, encode_coco(document))
    click.echo(f"{out}: {len(document['images'])} images, {len(document['annotations'])} boxes")
