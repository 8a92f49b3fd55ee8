"""`edge-train harvest`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FOLDER, configured, settings_of

if TYPE_CHECKING:
    from mobiledet.harvest.splits import Shares
    from mobiledet.harvest.store import Store

ROUNDING = 1e-6  # of a sum of three shares


def percentages(
    _ctx: click.Context, _option: click.Parameter, text: str, *, train: bool = True
) -> Shares:
    """The value of --split. train: whether the share of train must not be 0."""
    from mobiledet.harvest.splits import Shares

    try:
        first, val, test = (float(part) / 100 for part in text.split("/"))
    except ValueError:
        first = val = test = -1.0
    missing = train and first == 0
    if min(first, val, test) < 0 or missing or abs(first + val + test - 1) > ROUNDING:
        raise click.BadParameter(f"{text}: write three shares that add up to 100, such as 70/15/15")
    return Shares(first, val, test)


@click.command()
@configured
@click.argument("footage", nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, metavar="DATASET",
              help="Folder of the dataset; pictures are added to an existing one.")  # fmt: skip
@click.option("--teacher", default="", metavar="MODEL",
              help="Model that finds and names objects; `truth` for drawn scenes.")  # fmt: skip
@click.option("--teacher-tiles", is_flag=True,
              help="Let the teacher look at tiles too: slower, but it finds more.")  # fmt: skip
@click.option("--only", multiple=True, metavar="LABEL",
              help="Use only this label of the teacher; repeatable.")  # fmt: skip
@click.option("--label", default="", metavar="NAME", help="Name for tracks that are not doubtful.")
@click.option("--every", "every_s", type=click.FloatRange(min=0), default=1.0, show_default=True,
              metavar="S", help="Minimum time between two pictures, in seconds.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N",
              help="Take up to N pictures of each footage; 0 = all.")  # fmt: skip
@click.option("--split", "shares", default="70/15/15", show_default=True, callback=percentages,
              metavar="T/V/T", help="Time for train, val and test, in percent.")  # fmt: skip
def harvest(
    config: Path | None,
    assignments: tuple[str, ...],
    footage: tuple[str, ...],
    out: Path,
    teacher: str,
    teacher_tiles: bool,
    only: tuple[str, ...],
    label: str,
    every_s: float,
    limit: int,
    shares: Shares,
) -> None:
    """Make a dataset of the objects that move in FOOTAGE of a fixed camera."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from mobiledet.harvest.make import Options
    from mobiledet.harvest.make import harvest as make

    if teacher_tiles and not teacher:
        raise click.UsageError("--teacher-tiles needs --teacher")
    options = Options(
        every_s, limit, teacher, teacher_tiles, frozenset(only), label.strip(), shares
    )
    settings = settings_of(config, assignments)
    with Progress(console=Console(stderr=True), transient=True) as bar:

        def start_progress(name: str) -> Callable[[int, int | None], None]:
            task = bar.add_task(escape(name))
            return lambda done, total: bar.update(task, completed=done, total=total)

        store = make(settings, footage, out, options, start_progress)
    click.echo(_summary(store, out))


def _summary(store: Store, out: Path) -> str:
    from collections import Counter

    from mobiledet.harvest.labels import REJECTED, UNNAMED
    from mobiledet.harvest.store import SHEET

    splits = Counter(image.split for image in store.coco.images)
    names = Counter(row.label for row in store.rows)
    unnamed, rejected = names.pop(UNNAMED, 0), names.pop(REJECTED, 0)
    tracks = [f"{count} {name}" for name, count in sorted(names.items())]
    if rejected:
        tracks.append(f"{rejected} rejected")
    tracks.append(f"{unnamed} without a name")
    return (
        f"{out}: {len(store.coco.images)} pictures "
        f"({', '.join(f'{count} {name}' for name, count in splits.items())}), "
        f"tracks: {', '.join(tracks)}\n"
        f"name them on   {out / SHEET}\n"
        f"then run       edge-train label {out} --labels labels.json"
    )
