"""`edge-train zoo`."""

from __future__ import annotations

import click

NOTE = """\
At alpha 0.75 the published MACs leave out the first convolution; `off` compares without it, too.
The published 34 at 0.25, 192 px doesn't go with the square of the resolution as all others do."""


@click.command()
@click.option("--measure/--no-measure", default=True, help="Int8 size and latency, measured here.")
def zoo(measure: bool) -> None:
    """Counts MACs and parameters of the sixteen on their graphs, and measures the int8 models."""
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.zoo import PUBLISHED, Row, rows

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("building", total=len(PUBLISHED))
        found = list(rows(measure=measure, done=lambda count: bar.update(task, completed=count)))

    def line(row: Row) -> str:
        said, count = row.published, row.counted
        off = count.comparable_macs / 1e6 / said.mega_macs - 1
        text = (
            f"{said.alpha:5.2f} {said.size_px:5d} {count.macs / 1e6:8.1f} {said.mega_macs:6d}"
            f" {off:7.1%} {count.parameters / 1e6:8.3f} {said.mega_parameters:6.2f}"
            f" {said.top1:6.1f} {said.top5:6.1f}"
        )
        if row.measured is None:
            return text
        return f"{text} {row.measured.size_bytes / 1e6:8.2f} {row.measured.latency_ms:8.1f}"

    click.echo(
        f"{'alpha':>5} {'px':>5} {'M MACs':>8} {'publ.':>6} {'off':>7} {'M param':>8} {'publ.':>6}"
        f" {'top-1':>6} {'top-5':>6}" + (f" {'int8 MB':>8} {'ms here':>8}" if measure else "")
    )
    for row in found:
        click.echo(line(row))
    click.echo(NOTE)
