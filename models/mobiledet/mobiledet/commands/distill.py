"""`edge-train distill`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FOLDER
from edge.config.schema import ModelSettings


@click.command()
@click.argument("footage")
@click.option("--out", type=FOLDER, required=True, help="Folder of the dataset.")
@click.option(
    "--teacher",
    metavar="MODEL",
    default=ModelSettings().file,
    show_default=True,
    help="A name from `edge models list`, or a file.",
)
@click.option("--every", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="Label each N-th frame.")  # fmt: skip
@click.option("--start-s", type=click.FloatRange(min=0), default=0.0, help="Start time in seconds.")
@click.option(
    "--end-s", type=click.FloatRange(min=0), default=float("inf"), help="End time in seconds."
)
@click.option("--add", is_flag=True, help="Add to the dataset in the folder, for another camera.")
def distill(
    footage: str, out: Path, teacher: str, every: int, start_s: float, end_s: float, add: bool
) -> None:
    """Make a dataset of FOOTAGE: a larger model labels each N-th frame."""
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.dataset.writing import DATASET
    from mobiledet.distill import Span
    from mobiledet.distill import distill as label
    from mobiledet.models import open_model

    detector = open_model(teacher)
    span = Span(every=every, start_s=start_s, end_s=end_s)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("labelling", total=None)
        count = label(
            footage,
            out,
            detector,
            span,
            lambda done, total: bar.update(task, completed=done, total=total),
            add=add,
        )
    click.echo(f"{out / DATASET}: {count} labels")
