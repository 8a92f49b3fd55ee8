"""`edge-train choose`."""

from __future__ import annotations

import click


@click.command()
@click.option("--latency-ms", type=click.FloatRange(min=0), required=True, help="Highest latency.")
@click.option("--size-mb", type=click.FloatRange(min=0), required=True, help="Largest file.")
def choose(latency_ms: float, size_mb: float) -> None:
    """Choose the network with the best published top-1 that fits, measured on this machine."""
    from mobiledet.zoo import choose as pick

    row = pick(latency_ms, size_mb * 1e6)
    assert row.measured is not None
    click.echo(
        f"alpha {row.published.alpha:g}, {row.published.size_px} px: "
        f"{row.measured.latency_ms:.1f} ms, {row.measured.size_bytes / 1e6:.2f} MB int8, "
        f"{row.counted.macs / 1e6:.1f} M MACs, published top-1 {row.published.top1} %"
    )
