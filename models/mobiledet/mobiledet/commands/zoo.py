"""`edge-train zoo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mobiledet.zoo import Row

NOTE = """\
At alpha 0.75 the published MACs do not include the first convolution; `off` leaves it out, too.
Only the published 34 at 0.25, 192 px does not follow the square of the resolution."""


@click.command()
@click.option("--measure/--no-measure", default=True, help="Measure int8 size and latency here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def zoo(measure: bool, as_json: bool) -> None:
    """Count MACs and parameters of sixteen MobileNet v1 networks, and measure them in int8."""
    import msgspec
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.zoo import PUBLISHED, rows

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("building", total=len(PUBLISHED))
        table = list(rows(measure=measure, done=lambda count: bar.update(task, completed=count)))
    if as_json:
        click.echo(msgspec.json.encode(table).decode())
        return
    click.echo(
        f"{'alpha':>5} {'px':>5} {'M MACs':>8} {'publ.':>6} {'off':>7} {'M param':>8} {'publ.':>6}"
        f" {'top-1':>6} {'top-5':>6}" + (f" {'int8 MB':>8} {'ms here':>8}" if measure else "")
    )
    for row in table:
        click.echo(_line(row))
    click.echo(NOTE)


def _line(row: Row) -> str:
    published, count = row.published, row.counted
    off = count.comparable_macs / 1e6 / published.mega_macs - 1
    text = (
        f"{published.alpha:5.2f} {published.size_px:5d} {count.macs / 1e6:8.1f}"
        f" {published.mega_macs:6d} {off:7.1%} {count.parameters / 1e6:8.3f}"
        f" {published.mega_parameters:6.2f} {published.top1:6.1f} {published.top5:6.1f}"
    )
    if row.measured is None:
        return text
    return f"{text} {row.measured.size_bytes / 1e6:8.2f} {row.measured.latency_ms:8.1f}"
