"""`edge-train check`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", default="", metavar="NAME", help="train, val or test of a harvest.")
@click.option("--ground-truth", type=FILE, metavar="GT",
              help="Compare a harvest's boxes with this MOTChallenge file.")  # fmt: skip
@click.option("--source", default="", metavar="URI",
              help="Footage that GT describes, if the harvest has several.")  # fmt: skip
def check(dataset: Path, split: str, ground_truth: Path | None, source: str) -> None:
    """Read every file of a dataset, in any known format, and count its objects."""
    import numpy as np

    from mobiledet.dataset import read_dataset

    data = read_dataset(dataset, split)
    for picture in data.pictures:
        picture.rgb()
    ids = np.concatenate([picture.class_ids for picture in data.pictures])
    ignored = sum(len(picture.ignored_xyxy) for picture in data.pictures)
    click.echo(f"{dataset}: {len(data.pictures)} pictures, {len(ids)} objects, {ignored} ignored")
    for class_id, label in enumerate(data.labels):
        click.echo(f"  {label}: {np.count_nonzero(ids == class_id)}")
    bare = sum(len(picture.class_ids) == 0 for picture in data.pictures)
    if bare:
        click.echo(f"  pictures without an object: {bare}")
    if ground_truth is None:
        return
    from mobiledet.harvest.compare import compare

    result = compare(dataset, ground_truth, source, split)
    click.echo(
        f"against {ground_truth.name}: {result.objects} objects in {result.pictures} pictures\n"
        f"  precision {result.precision:.3f}, recall {result.recall:.3f}; objects without a box: "
        f"{result.hidden} in ignored places, {result.missed} left as background"
    )
