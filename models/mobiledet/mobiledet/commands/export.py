"""`edge-train export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, FOLDER

if TYPE_CHECKING:
    from rich.progress import Progress

    from mobiledet.dataset import Dataset
    from mobiledet.export import Figures
    from mobiledet.run import Run

TUNING_STEPS = 300


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--out", type=FILE, help="File to write. Default: RUN/<name of RUN>.tflite.")
@click.option("--qat/--no-qat", default=True, help="Also try quantization-aware training.")
@click.option("--qat-steps", type=click.IntRange(min=1), default=TUNING_STEPS, show_default=True,
              help="Steps of quantization-aware training.")  # fmt: skip
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    help="Dataset to measure on. Default: the one that RUN was trained on.",
)
@click.option("--split", default="val", show_default=True, help="Split to measure on.")
@click.option("--json", "figures_to", type=FILE, help="Also write the card's figures as JSON.")
@click.option("--licence", default="", help="The model's licence, for its card.")
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
    """Make an int8 file of RUN for `edge run --model`, and a card of its measured figures."""
    import msgspec

    from mobiledet.card import Subject, card
    from mobiledet.dataset import read_dataset
    from mobiledet.export import write
    from mobiledet.files import write_file
    from mobiledet.run import load, training_pictures

    plan = load(run)
    training = training_pictures(plan.training)
    measured_on = dataset or Path(plan.training.dataset)
    held_out = read_dataset(measured_on, split)
    target = out or run / f"{run.resolve().name}.tflite"
    flatbuffer, figures = _measure(run, plan, training, held_out, qat_steps if qat else 0)
    write(target, flatbuffer, plan.design, licence)
    name = f"{measured_on.name}, {split or 'all'}"
    text = card(Subject(target, plan, training, held_out, name, licence), figures)
    write_file(target.with_suffix(".md"), text.encode())
    if figures_to is not None:
        write_file(figures_to, msgspec.json.format(msgspec.json.encode(figures)))
    _print(figures)
    click.echo(f"{target} ({figures.chosen}); its card: {target.with_suffix('.md').name}")


def _measure(
    run: Path, plan: Run, training: Dataset, held_out: Dataset, tuning_steps: int
) -> tuple[bytes, Figures]:
    """The int8 flatbuffer with the higher mAP, and the figures of all kinds."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.config.schema import ModelSettings
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model
    from mobiledet.export import flatbuffers, measured

    default = ModelSettings().file
    reference = default, read_model(find_model(default)).flatbuffer
    with Progress(console=Console(stderr=True), transient=True) as bar:
        tuning = _Step(bar, "tuning")
        made = flatbuffers(run, plan, training, tuning_steps, tuning)
        measuring = _Step(bar, "measuring")
        figures = measured(run, plan, made, held_out, "regions", reference, measuring)
    return made[figures.chosen], figures


class _Step:
    """One line of the progress display."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar, self._task = bar, bar.add_task(name, total=None)

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)


def _print(figures: Figures) -> None:
    click.echo(f"{'':26} {'mAP':>6} {'AP50':>6} {'F1':>6} {'MB':>6} {'ms':>7}")
    for row in figures.variants:
        report = row.report
        click.echo(
            f"{row.kind:26} {report.map:6.3f} {report.map50:6.3f} {report.f1:6.3f}"
            f" {row.size_bytes / 1e6:6.2f} {row.latency_ms:7.2f}"
        )
    click.echo(f"{figures.reference:40} {'':12} {figures.reference_latency_ms:7.2f}")
