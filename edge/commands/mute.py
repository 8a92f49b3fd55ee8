"""`edge ctl mute`, `muted` and `unmute`: they edit the configuration and reload the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.connected import editing
from edge.runtime.printable import printable_lines

if TYPE_CHECKING:
    from edge.client import Control
    from edge.config.schema import Mute
    from edge.messages import Box, TriggerPlace
    from edge.web.settings_file import SettingsFile


@click.command()
@editing
@click.argument("place", type=click.IntRange(1), required=False)
@click.option(
    "--box",
    metavar="X0,Y0,X1,Y1",
    help="Any place: left, top, right, bottom as shares of the picture.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="Only this label or group; repeatable. Default: that of PLACE, or any.",
)
def mute(
    control: Control,
    configuration: Path | None,
    place: int | None,
    box: str | None,
    labels: tuple[str, ...],
) -> None:
    """Mute a place that triggers falsely again and again.

    PLACE is its number in `edge ctl status`; it can be left out if there is only one. The place is
    added to the configuration, and the daemon goes on with its tracks. An object that comes from
    outside, leaves the place or walks within it triggers as before.
    """
    from edge.client import CommandError
    from edge.config.schema import Mute

    if box is None:
        chosen = _chosen(control, place)
        row = Mute(box=chosen.box, labels=labels or (chosen.group or chosen.label,))
    elif place is not None:
        raise click.UsageError("PLACE and --box both choose a place; give only one")
    else:
        row = Mute(box=_box(box), labels=labels)
    settings = _settings_file(configuration)
    settings.mute(row)
    try:
        control.reload()
    except CommandError:
        settings.unmute([row])
        raise
    click.echo(printable_lines(f"muted: {_row_text(row)}"))


@click.command()
@editing
def muted(control: Control, configuration: Path | None) -> None:
    """List the muted places, and count the objects that they silenced."""
    rows = _settings_file(configuration).read()[0].mutes
    for number, row in enumerate(rows, 1):
        click.echo(printable_lines(f"{number}  {_row_text(row)}"))
    health = control.status().health
    count = health.muted if health is not None else 0
    click.echo(f"{len(rows)} muted, {count} objects silenced since the daemon started")


@click.command()
@editing
@click.argument("numbers", type=click.IntRange(1), nargs=-1, metavar="NUMBER…")
@click.option("--all", "everything", is_flag=True, help="Unmute all places.")
def unmute(
    control: Control, configuration: Path | None, numbers: tuple[int, ...], everything: bool
) -> None:
    """Unmute places, by their numbers in `edge ctl muted`."""
    settings = _settings_file(configuration)
    rows = settings.read()[0].mutes
    if everything == bool(numbers):
        raise click.UsageError("give the numbers of `edge ctl muted`, or --all")
    if numbers and max(numbers) > len(rows):
        raise click.UsageError(
            f"there is no muted place {max(numbers)}; `edge ctl muted` lists them"
        )
    gone = rows if everything else [rows[number - 1] for number in numbers]
    settings.unmute(gone)
    control.reload()
    for row in gone:
        click.echo(printable_lines(f"unmuted: {_row_text(row)}"))


def _row_text(row: Mute) -> str:
    return f"{', '.join(row.labels) or 'any object'} in {_corners(row.box)}"


def _corners(box: Box) -> str:
    return ",".join(f"{share:g}" for share in box)


def _settings_file(file: Path | None) -> SettingsFile:
    """Raises click.UsageError if the daemon's configuration is not on this machine."""
    from edge.web.settings_file import SettingsFile

    if file is None:
        raise click.UsageError(
            "the muted places are in the configuration file: give --config FILE, on the machine of "
            "the camera"
        )
    return SettingsFile(file)


def _chosen(control: Control, number: int | None) -> TriggerPlace:
    """The place with this number; the only one without a number. Raises click.UsageError."""
    health = control.status().health
    places = health.places if health is not None else ()
    found = [place for place in places if number in (None, place.place)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(place_text(place) for place in places)
    if not known:
        raise click.UsageError("no place triggers again and again; --box mutes any other place")
    problem = "choose a place" if number is None else f"there is no place {number}"
    raise click.UsageError(f"{problem}: {known}")


def _box(text: str) -> Box:
    """Reads `X0,Y0,X1,Y1`. Raises click.UsageError."""
    try:
        x0, y0, x1, y1 = map(float, text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = 0.0
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise click.UsageError(
            f"--box {text}: write left,top,right,bottom from 0 to 1, such as 0.4,0.3,0.6,0.8"
        )
    return x0, y0, x1, y1


def place_text(place: TriggerPlace) -> str:
    """A place with repeated triggers, for a person."""
    return (
        f"place {place.place}: {place.count} times {place.rule} ({place.label}) in "
        f"{_corners(place.box)}, last at {place.last_time.astimezone():%H:%M}"
    )
