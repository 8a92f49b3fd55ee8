"""`edge-train distill`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FOLDER


@click.command()
@click.argument("footage")
@click.option("--out", type=FOLDER, required=True, help="Where the dataset goes.")
@click.option(
    "--teacher",
    metavar="MODEL",
    default="person_ssdlite_mobilenet_v2_int8",
    show_default=True,
    help="A name from `edge models list`, or a file.",
)
@click.option("--every", type=click.IntRange(min=1), default=3, show_default=True, metavar="N")
@click.option("--start-s", type=click.FloatRange(min=0), default=0.0, help="Not before.")
@click.option("--end-s", type=click.FloatRange(min=0), default=float("inf"), help="Not after.")
def distill(
    footage: str, out: Path, teacher: str, every: int, start_s: float, end_s: float
) -> None:
    """Labels each N-th frame of footage by what a larger model sees in it, in many looks."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.config.schema import ModelSettings
    from edge.vision.detector import Detector
    from edge.vision.detector.catalogue import find_model
    from mobiledet.distill import Span
    from mobiledet.distill import distill as label

    detector = Detector(ModelSettings(file=teacher, threads=1), find_model(teacher))
    span = Span(every=every, start_s=start_s, end_s=end_s)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=None)
        count = label(
            footage,
            out,
            detector,
            span,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo(f"{out / 'dataset.json'}: {count} labels")
