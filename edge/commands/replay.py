"""`edge replay`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, configured, settings_of


@click.command()
@configured
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--out", type=FILE, metavar="MP4", help="Annotated video.")
@click.option("--report", type=FILE, metavar="HTML", help="Report with a timeline and stills.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
def replay(
    config: Path | None,
    assignments: tuple[str, ...],
    video: Path,
    out: Path | None,
    report: Path | None,
    model: str | None,
) -> None:
    """Plays footage through the pipeline and shows what it would have done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from edge.tools.replay import replay as play

    settings = settings_of(
        config, assignments, source__uri=str(video), source__fast=True, model__file=model
    )
    folder = Path("replay-out")
    out = out or folder / f"{video.stem}.mp4"
    report = report or folder / f"{video.stem}.html"
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)
        summary = play(
            settings, out, report, lambda done, total: bar.update(task, completed=done, total=total)
        )
    click.echo(summary.sentence())
    click.echo(f"video   {out}\nreport  {report}")
