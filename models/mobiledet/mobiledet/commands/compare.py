"""`edge-train compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.options import FILE, FOLDER
from mobiledet.design import DEFAULT_SIZE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobiledet.compare import Row
    from mobiledet.evaluation import Report

HEADS = ("ssd", "grid", "anchor_free")
BACKBONES = (
    "mobilenet_v1",
    "mobilenet_v1_patches",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "fire",
)
EXTRAS = ("depthwise", "ordinary")
DEFAULT_STEPS = 2500  # as `fit`


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--head", "heads", type=click.Choice(HEADS), multiple=True,
              help="Only this head; repeatable.")  # fmt: skip
@click.option("--backbone", "backbones", type=click.Choice(BACKBONES), multiple=True,
              help="Only this backbone; repeatable.")  # fmt: skip
@click.option("--extra", "extras", type=click.Choice(EXTRAS), multiple=True,
              help="Only this kind of extra layers; repeatable.")  # fmt: skip
@click.option("--split", default="train", show_default=True, help="Split to train on.")
@click.option("--held-out", default="val", show_default=True, help="Split to measure on.")
@click.option(
    "--alpha", type=click.FloatRange(0, 2, min_open=True), default=0.25, show_default=True,
    help="Width multiplier of the network.",
)  # fmt: skip
@click.option("--size-px", type=click.IntRange(64, 1024), default=DEFAULT_SIZE_PX,
              show_default=True, help="Side of the networks' input.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True,
              help="Canvases in a step.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=DEFAULT_STEPS, show_default=True,
              help="Steps for each network.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the first weights and of the batches.")  # fmt: skip
@click.option("--out", type=FOLDER,
              help="Keep the runs and their files here; a later call continues them.")  # fmt: skip
@click.option("--json", "figures_to", type=FILE, help="Also write the figures as JSON.")
def compare(
    dataset: Path,
    heads: tuple[str, ...],
    backbones: tuple[str, ...],
    extras: tuple[str, ...],
    out: Path | None,
    figures_to: Path | None,
    **options: Any,
) -> None:
    """Compare heads, backbones and kinds of extra layers after the same training."""
    import tempfile

    import msgspec

    from mobiledet.compare import kinds_of
    from mobiledet.files import write_file

    kinds = kinds_of(heads or HEADS, backbones or BACKBONES, extras or EXTRAS)
    with tempfile.TemporaryDirectory(prefix="edge-train-") as folder:
        rows = _train(dataset, kinds, out or Path(folder), options)
    _print(rows)
    if figures_to is not None:
        write_file(figures_to, msgspec.json.format(msgspec.json.encode(rows)))


def _train(
    dataset: Path, kinds: Sequence[tuple[str, str, str]], folder: Path, options: dict[str, Any]
) -> Sequence[Row]:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from mobiledet.compare import Listeners
    from mobiledet.compare import compare as train_each
    from mobiledet.dataset import read_dataset
    from mobiledet.design import Design
    from mobiledet.run import Run, Training

    training = read_dataset(dataset, options["split"])
    run = Run(
        design=Design(labels=training.labels, alpha=options["alpha"], size_px=options["size_px"]),
        training=Training(
            dataset=str(dataset.resolve()),
            **{name: options[name] for name in ("split", "batch", "steps", "seed")},
        ),
    )
    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def measured(name: str, report: Report) -> None:
            bar.console.print(f"{name}: mAP {report.map:.3f}, F1 {report.f1:.3f}")

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        held_out = read_dataset(dataset, options["held_out"])
        return train_each(run, kinds, training, held_out, folder, Listeners(progress, measured))


def _print(rows: Sequence[Row]) -> None:
    click.echo(
        f"{'head':11} {'backbone':21} {'extra layers':12} {'M MACs':>7} {'M param':>8}"
        f" {'int8 MB':>8} {'ms':>6} {'mAP':>6} {'AP50':>6} {'F1':>6}"
    )
    for row in rows:
        click.echo(
            f"{row.head:11} {row.backbone:21} {row.extra:12} {row.mega_macs:7.1f}"
            f" {row.mega_parameters:8.3f} {row.size_bytes / 1e6:8.2f} {row.latency_ms:6.2f}"
            f" {row.report.map:6.3f} {row.report.map50:6.3f} {row.report.f1:6.3f}"
        )
