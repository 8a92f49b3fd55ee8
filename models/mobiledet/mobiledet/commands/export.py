"""`edge-train export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, FOLDER
from edge.config.schema import DEFAULT_MODEL

if TYPE_CHECKING:
    from mobiledet.export import Figures

TUNING_STEPS = 300


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--out", type=FILE, help="The model. Default: RUN/<name of RUN>.tflite.")
@click.option("--qat/--no-qat", default=True, help="Also quantization-aware training.")
@click.option("--qat-steps", type=click.IntRange(min=1), default=TUNING_STEPS, show_default=True)
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    help="What to measure on. Default: the run's own, its split `val`.",
)
@click.option("--split", default="val", show_default=True, help="Of what to measure on.")
@click.option("--json", "figures_to", type=FILE, help="Where the figures go, besides the card.")
@click.option("--licence", default="", help="Of the model, for its card.")
def export(
    run: Path,
    out: Path | None,
    qat: bool,
    qat_steps: int,
    dataset: Path | None,
    split: str,
    figures_to: Path | None,
    licence: str,
) -> None:
    """Makes of RUN an int8 file that `edge run --model` takes, and a card of what was measured."""
    import msgspec
    from rich.console import Console
    from rich.progress import Progress

    from edge.vision.detector.catalogue import find_model
    from edge.vision.detector.model_file import read_model
    from mobiledet.card import card
    from mobiledet.dataset import read_dataset
    from mobiledet.export import flatbuffers, measured, write
    from mobiledet.run import load

    plan = load(run)
    training = read_dataset(Path(plan.training.dataset), plan.training.split)
    measured_on = dataset or Path(plan.training.dataset)
    held_out = read_dataset(measured_on, split)
    target = out or run / f"{run.resolve().name}.tflite"
    reference = DEFAULT_MODEL, read_model(find_model(DEFAULT_MODEL)).flatbuffer
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tuning(done: int, total: int) -> None:
            bar.update(task, description="tuning", completed=done, total=total)

        def measuring(done: int, total: int) -> None:
            bar.update(task, description="measuring", completed=done, total=total)

        made = flatbuffers(run, plan, training, qat_steps if qat else 0, tuning)
        figures = measured(run, plan, made, held_out, "regions", reference, measuring)
    write(target, made[figures.chosen], plan.design, licence)
    text = card(
        target, plan, figures, training, held_out, f"{measured_on.name}, {split or 'all'}", licence
    )
    target.with_suffix(".md").write_text(text, "utf-8")
    if figures_to is not None:
        figures_to.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    _tell(figures)
    click.echo(f"{target} ({figures.chosen}); its card: {target.with_suffix('.md').name}")


def _tell(figures: Figures) -> None:
    click.echo(f"{'':26} {'mAP':>6} {'AP50':>6} {'F1':>6} {'MB':>6} {'ms':>7}")
    for row in figures.variants:
        report = row.report
        click.echo(
            f"{row.kind:26} {report.map:6.3f} {report.map50:6.3f} {report.f1:6.3f}"
            f" {row.size_bytes / 1e6:6.2f} {row.latency_ms:7.2f}"
        )
    click.echo(f"{figures.reference:40} {'':12} {figures.reference_latency_ms:7.2f}")
