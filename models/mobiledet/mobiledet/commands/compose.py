"""`edge-train compose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FOLDER, configured, settings_of
from mobiledet.commands.harvest import percentages

if TYPE_CHECKING:
    from mobiledet.compose.make import Composed
    from mobiledet.harvest.splits import Shares


def _sizes(_ctx: click.Context, _option: click.Parameter, text: str) -> tuple[float, float]:
    try:
        least, most = (float(part) / 100 for part in text.split("/"))
    except ValueError:
        least = most = -1.0
    if not 0 < least <= most <= 1:
        raise click.BadParameter(f"{text}: write the least and the most in percent, such as 8/40")
    return least, most


@click.command()
@configured
@click.argument("scenes", nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, metavar="DATASET",
              help="Folder of the dataset; pictures are added to an existing one.")  # fmt: skip
@click.option("--class", "classes", multiple=True, required=True, metavar="NAME=FOLDER",
              help="Photographs of a class; repeatable, also for one class.")  # fmt: skip
@click.option("--licence", default="", metavar="TEXT",
              help="Origin and licence of the photographs.")  # fmt: skip
@click.option("--pictures", type=click.IntRange(min=1), default=400, show_default=True,
              help="Number of pictures to compose.")  # fmt: skip
@click.option("--objects", type=click.IntRange(1, 20), default=3, show_default=True,
              help="Most objects in a picture.")  # fmt: skip
@click.option("--size", "sizes", default="8/40", show_default=True, callback=_sizes,
              metavar="MIN/MAX",
              help="Longer side of an object, in percent of the picture's height.")  # fmt: skip
@click.option("--split", "shares", default="70/15/15", show_default=True,
              callback=lambda *given: percentages(*given, train=False), metavar="T/V/T",
              help="Photographs and pictures for train, val and test, in percent.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random choices.")
def compose(
    config: Path | None,
    assignments: tuple[str, ...],
    scenes: tuple[str, ...],
    out: Path,
    classes: tuple[str, ...],
    licence: str,
    pictures: int,
    objects: int,
    sizes: tuple[float, float],
    shares: Shares,
    seed: int,
) -> None:
    """Cut objects out of photographs and paste them on empty SCENES, footage or pictures."""
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.compose.make import Options
    from mobiledet.compose.make import compose as make
    from mobiledet.compose.scenes import empty_scene

    photographs = _photographs(classes)
    settings = settings_of(config, assignments)
    options = Options(pictures, objects, sizes, shares, seed, licence.strip())
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("composing", total=None)
        empty = [empty_scene(settings, uri) for uri in scenes]
        result = make(
            empty,
            photographs,
            out,
            options,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo(_summary(result, out))


def _photographs(classes: tuple[str, ...]) -> dict[str, list[Path]]:
    from mobiledet.compose.cutouts import photographs
    from mobiledet.harvest.labels import REJECTED

    found: dict[str, list[Path]] = {}
    for text in classes:
        name, equals, folder = text.partition("=")
        if name.strip() in ("", REJECTED) or not (equals and folder):
            raise click.UsageError(f"--class {text}: write NAME=FOLDER, such as deer=photos/deer")
        paths = found.setdefault(name.strip(), [])
        paths += [path for path in photographs(Path(folder)) if path not in paths]
    return found


def _summary(result: Composed, out: Path) -> str:
    from collections import Counter

    from mobiledet.compose.cutouts import ALPHA
    from mobiledet.harvest.store import SHEET

    splits = Counter(image.split for image in result.added)
    names = Counter(row.label for row in result.rows)
    lines = [
        f"{out}: {len(result.added)} pictures added "
        f"({', '.join(f'{count} {name}' for name, count in splits.items())}), "
        f"photographs: {', '.join(f'{count} {name}' for name, count in names.items())}"
    ]
    lines += [f"no object found in {path}" for path in result.failed]
    if any(row.note for row in result.rows):
        lines.append(f"check the photographs without {ALPHA} on {out / SHEET}")
    return "\n".join(lines)
