"""`edge-train evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE

if TYPE_CHECKING:
    from edge.vision.detector import Detector
    from mobiledet.evaluation import Report


@click.command()
@click.argument("model")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", default="", help="Measure on this split only.")
@click.option(
    "--look",
    type=click.Choice(["regions", "whole"]),
    default="regions",
    show_default=True,
    help="Look at the daemon's crops and packed canvases, or at whole pictures.",
)
@click.option("--json", "out", type=FILE, help="Also write the figures as JSON.")
def evaluate(model: str, dataset: Path, split: str, look: str, out: Path | None) -> None:
    """Measure MODEL on DATASET: mAP and F1.

    MODEL is the folder of a run, a name from `edge models list`, or a file.
    """
    import msgspec
    from rich.console import Console
    from rich.progress import Progress

    from mobiledet.dataset import read_dataset
    from mobiledet.evaluation import evaluate as measure
    from mobiledet.files import write_file

    data = read_dataset(dataset, split)
    detector = _detector(model)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("measuring", total=len(data.pictures))
        report = measure(
            detector,
            data,
            look,  # type: ignore[arg-type]
            lambda done, _total: bar.update(task, completed=done),
        )
    _print(report)
    if out is not None:
        write_file(out, msgspec.json.format(msgspec.json.encode(report)))


def _detector(model: str) -> Detector:
    from mobiledet.models import open_model

    if not Path(model).is_dir():
        return open_model(model)
    from mobiledet.blocks import FloatBlocks
    from mobiledet.export import opened
    from mobiledet.network import for_daemon, trained_network
    from mobiledet.quantize import to_float
    from mobiledet.run import load

    design = load(Path(model)).design
    network = for_daemon(trained_network(Path(model), design), design, FloatBlocks())
    return opened(to_float(network), design)


def _print(report: Report) -> None:
    click.echo(f"{report.pictures} pictures, {report.invocations} invocations")
    click.echo(f"mAP {report.map:.3f}, AP50 {report.map50:.3f}")
    click.echo(f"{'':16} {'objects':>8} {'AP50':>6} {'precision':>10} {'recall':>7} {'F1':>6}")
    for row in report.classes:
        click.echo(
            f"{row.label:16} {row.objects:8d} {row.ap50:6.3f} {row.precision:10.3f}"
            f" {row.recall:7.3f} {row.f1:6.3f}"
        )
    all_classes = f"{report.precision:10.3f} {report.recall:7.3f} {report.f1:6.3f}"
    click.echo(f"{'all':16} {sum(c.objects for c in report.classes):8d} {'':6} {all_classes}")
