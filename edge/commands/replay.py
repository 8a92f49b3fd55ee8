"""`edge replay`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, configured, settings_of
from edge.commands.progress import progress_bar


@click.command(epilog="Example: edge replay garden.mp4 --set motion.sensitivity=1.5")
@configured
@click.argument("video")
@click.option("--out", type=FILE, metavar="MP4", help="Default: replay-out/VIDEO.mp4.")
@click.option("--report", type=FILE, metavar="HTML", help="Default: replay-out/VIDEO.html.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
def replay(
    config: Path | None,
    assignments: tuple[str, ...],
    video: str,
    out: Path | None,
    report: Path | None,
    model: str | None,
) -> None:
    """Play the recording VIDEO and show the decisions of the daemon.

    It writes a video with boxes drawn over it, and a report with a timeline and the picture of each
    trigger. Use it to try settings.
    """
    from edge.runtime.printable import printable_lines
    from edge.tools.replay import replay as play

    settings = settings_of(
        config, assignments, source__uri=video, source__fast=True, model__file=model
    )
    folder, stem = Path("replay-out"), Path(settings.source.name).stem  # without credentials
    out = out or folder / f"{stem}.mp4"
    report = report or folder / f"{stem}.html"
    with progress_bar("frames") as update:
        summary = play(settings, out, report, update)
    click.echo(summary.sentence())
    click.echo(printable_lines(f"video   {out}\nreport  {report}"))
