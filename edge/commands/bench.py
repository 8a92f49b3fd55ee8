"""`edge bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, configured, settings_of

if TYPE_CHECKING:
    from edge.bench.accuracy import AccuracyReport


@click.group()
def bench() -> None:
    """Measures accuracy, latency and cost, here and now."""


@bench.command()
@configured
@click.option("--video", type=FILE, required=True, help="Footage of a fixed camera.")
@click.option("--ground-truth", type=FILE, required=True, help="Its objects, MOTChallenge form.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--label", default="person", show_default=True, help="What the objects are.")
@click.option("--strategy", "names", multiple=True, help="Only this; may be given again.")
@click.option("--json", "out", type=FILE, help="Where the figures go.")
@click.option("--plot", "picture", type=FILE, help="Recall over invocations, .svg or .png.")
def accuracy(
    config: Path | None,
    assignments: tuple[str, ...],
    video: Path,
    ground_truth: Path,
    model: str | None,
    label: str,
    names: tuple[str, ...],
    out: Path | None,
    picture: Path | None,
) -> None:
    """Compares the pipeline with whole frames and tiles, on ground truth, over every frame."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.bench.accuracy import accuracy as measure
    from edge.bench.accuracy import plot
    from edge.bench.strategies import strategies

    settings = settings_of(config, assignments, model__file=model, model__threads=1)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def progress(name: str, done: int, total: int | None) -> None:
            bar.update(task, description=name, completed=done, total=total)

        report = measure(
            settings, video, ground_truth, names or tuple(strategies()), label, progress
        )
    _tell(report)
    _keep(report, out)
    if picture is not None:
        plot(report, picture)


def _tell(report: AccuracyReport) -> None:
    click.echo(
        f"{report.video}, {report.frames} frames, {report.model}, IoU {report.min_iou}\n"
        f"{'strategy':18}{'inv/frame':>10}{'P':>7}{'R':>7}{'F1':>7}{'IDsw':>6}"
        f"{'CPU ms':>9}{'to whole':>10}"
    )
    for row in report.rows:
        ratio = "" if row.cpu_to_whole_frame is None else f"{row.cpu_to_whole_frame:.2f} x"
        click.echo(
            f"{row.strategy:18}{row.invocations_per_frame:10.2f}{row.precision:7.3f}"
            f"{row.recall:7.3f}{row.f1:7.3f}{row.identity_switches:6d}"
            f"{row.cpu_ms_per_frame:9.2f}{ratio:>10}"
        )


def _keep(report: object, out: Path | None) -> None:
    if out is not None:
        import msgspec

        out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
