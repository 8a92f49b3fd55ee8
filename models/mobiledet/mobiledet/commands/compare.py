"""`edge-train compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobiledet.design import DEFAULT_SIZE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobiledet.compare import Row


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", default="train", show_default=True, help="Split to train on.")
@click.option("--held-out", default="val", show_default=True, help="Split to measure on.")
@click.option(
    "--alpha", type=click.FloatRange(0, 2, min_open=True), default=0.25, show_default=True,
    help="Width multiplier of the network.",
)  # fmt: skip
@click.option("--size-px", type=click.IntRange(64, 1024), default=DEFAULT_SIZE_PX,
              show_default=True, help="Side of the networks' input.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=600, show_default=True,
              help="Steps for each network.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the first weights and of the batches.")  # fmt: skip
def compare(
    dataset: Path, split: str, held_out: str, alpha: float, size_px: int, steps: int, seed: int
) -> None:
    """Compare depthwise with ordinary layers and MobileNet with fire: cost and quality."""
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.compare import compare as train_each
    from mobiledet.dataset import read_dataset
    from mobiledet.design import Design
    from mobiledet.run import Run, Training

    training, measured_on = read_dataset(dataset, split), read_dataset(dataset, held_out)
    run = Run(
        design=Design(labels=training.labels, alpha=alpha, size_px=size_px),
        training=Training(dataset=str(dataset), split=split, steps=steps, seed=seed),
    )
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        rows = train_each(
            run,
            training,
            measured_on,
            lambda name, done, total: bar.update(
                task, description=name, completed=done, total=total
            ),
        )
    _print(rows)


def _print(rows: Sequence[Row]) -> None:
    click.echo(
        f"{'backbone':14} {'extra layers':12} {'M MACs':>7} {'M param':>8} {'int8 MB':>8}"
        f" {'ms':>6} {'mAP':>6} {'AP50':>6} {'F1':>6}"
    )
    for row in rows:
        click.echo(
            f"{row.backbone:14} {row.extra:12} {row.mega_macs:7.1f} {row.mega_parameters:8.3f}"
            f" {row.size_bytes / 1e6:8.2f} {row.latency_ms:6.2f} {row.report.map:6.3f}"
            f" {row.report.map50:6.3f} {row.report.f1:6.3f}"
        )
