"""`edge-train check`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", default="", metavar="NAME", help="train, val or test of a harvest.")
@click.option("--ground-truth", type=FILE, metavar="GT",
              help="Compares a harvest's boxes with this, in MOTChallenge form.")  # fmt: skip
@click.option("--source", default="", metavar="URI", help="Which footage it is of, if several.")
def check(dataset: Path, split: str, ground_truth: Path | None, source: str) -> None:
    """Reads every file of a dataset, of any known format, and counts what is in it."""
    import numpy as np

    from mobiledet.dataset import read_dataset

    found = read_dataset(dataset, split)
    for picture in found.pictures:
        picture.rgb()
    ids = np.concatenate([picture.class_ids for picture in found.pictures])
    ignored = sum(len(picture.ignored_xyxy) for picture in found.pictures)
    click.echo(f"{dataset}: {len(found.pictures)} pictures, {len(ids)} objects, {ignored} ignored")
    for class_id, label in enumerate(found.labels):
        click.echo(f"  {label}: {np.count_nonzero(ids == class_id)}")
    if ground_truth is None:
        return
    from mobiledet.harvest.compare import compare

    told = compare(dataset, ground_truth, source, split)
    click.echo(
        f"against {ground_truth.name}: {told.objects} objects in {told.pictures} pictures\n"
        f"  precision {told.precision:.3f}, recall {told.recall:.3f}; of the objects not found "
        f"{told.hidden} lie in ignored places and {told.missed} are left as background"
    )
