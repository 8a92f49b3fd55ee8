"""`edge-train label`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from edge.commands.options import FILE, FOLDER


@click.command()
@click.argument("dataset", type=FOLDER)
@click.option("--labels", type=FILE, metavar="FILE",
              help="labels.json of the page, or a .csv like tracks.csv.")  # fmt: skip
@click.option("--name", "named", multiple=True, metavar="TRACK=NAME",
              help="Name a track; repeatable.")  # fmt: skip
@click.option("--reject", "rejected", type=int, multiple=True, metavar="TRACK",
              help="Reject a track that is not an object; repeatable.")  # fmt: skip
@click.option("--rest", default="", metavar="NAME",
              help="Name all tracks that then have no name; - rejects them.")  # fmt: skip
def label(
    dataset: Path,
    labels: Path | None,
    named: tuple[str, ...],
    rejected: tuple[int, ...],
    rest: str,
) -> None:
    """Name or reject whole tracks of a harvest. Without options, apply an edited tracks.csv."""
    from mobiledet.harvest.labels import REJECTED, UNNAMED, read_labels
    from mobiledet.harvest.store import apply, load, save

    given = dict(map(_named, named)) | dict.fromkeys(rejected, REJECTED)
    store = load(dataset)
    apply(store, read_labels(labels) if labels else {}, str(labels))
    apply(store, given, "--name, --reject")
    if rest:
        nameless = [row.track for row in store.rows if row.label == UNNAMED]
        apply(store, dict.fromkeys(nameless, rest), "--rest")
    save(dataset, store)
    counts = Counter(row.label for row in store.rows)
    unnamed, no_object = counts.pop(UNNAMED, 0), counts.pop(REJECTED, 0)
    for name, count in sorted(counts.items()):
        click.echo(f"{name}: {count} tracks")
    click.echo(f"rejected: {no_object} tracks\nwithout a name, ignored: {unnamed} tracks")


def _named(text: str) -> tuple[int, str]:
    track, equals, name = text.partition("=")
    if not (track.strip().isdigit() and equals and name.strip()):
        raise click.UsageError(f"--name {text}: write TRACK=NAME, such as 12=deer")
    return int(track), name.strip()
