"""`edge-train fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edge.commands.options import FOLDER
from mobiledet.design import DEFAULT_SIZE_PX, Backbone
from mobiledet.run import COCO

if TYPE_CHECKING:
    from mobiledet.dataset import Dataset
    from mobiledet.design import Design
    from mobiledet.run import Run

DEFAULT_STEPS, DEFAULT_BATCH = 2500, 32
COCO_STEPS, COCO_BATCH = (
    200,
    8,
)  # of a start from COCO: enough for models/README.md, in 3 CPU minutes
# Highest learning rates of a training that starts from trained weights: of the heads while the
# other layers are frozen, and of all layers afterwards.
HEADS_RATE, THAWED_RATE = 1e-3, 3e-4


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=FOLDER, required=True, help="The run's folder.")
@click.option(
    "--split",
    default="train",
    show_default=True,
    help="Split to train on; '' for a format without splits.",
)
@click.option(
    "--alpha", type=click.FloatRange(0, 2, min_open=True), default=0.25, show_default=True,
    help="Width multiplier of the network.",
)  # fmt: skip
@click.option("--size-px", type=click.IntRange(64, 1024), default=DEFAULT_SIZE_PX,
              show_default=True, help="Side of the network's input.")  # fmt: skip
@click.option(
    "--backbone", type=click.Choice(get_args(Backbone)), default="mobilenet_v1_patches",
    show_default=True, help="Network that extracts the features.",
)  # fmt: skip
@click.option(
    "--head", type=click.Choice(["ssd", "grid", "anchor_free"]), default="anchor_free",
    show_default=True, help="Kind of the predictions.",
)  # fmt: skip
@click.option("--grid-maps", type=click.IntRange(1, 2), default=2, show_default=True,
              help="Maps of the grid head: stride 16, or 16 and 32.")  # fmt: skip
@click.option(
    "--extra", type=click.Choice(["depthwise", "ordinary"]), default="depthwise",
    show_default=True, help="Kind of the layers after the backbone, and of the predictors.",
)  # fmt: skip
@click.option(
    "--loss", type=click.Choice(["hard-negative", "focal"]), default="hard-negative",
    show_default=True, help="Loss of the classes of the SSD head.",
)  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(min=1),
    help=f"Canvases in a step. Default: {DEFAULT_BATCH}; {COCO_BATCH} with --from {COCO}.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(min=1),
    help=f"Length in steps. Default: {DEFAULT_STEPS}; {COCO_STEPS} with --from {COCO}.",
)  # fmt: skip
@click.option("--epochs", type=click.FloatRange(0, min_open=True),
              help="Length in epochs, instead of --steps.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0, min_open=True),
              help="Length in minutes on this machine, instead of --steps.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the first weights and of the batches.")  # fmt: skip
@click.option(
    "--from", "start", default="", metavar="coco_v3|RUN",
    help="Start from the shipped model of COCO's classes, or from the folder of a run.",
)  # fmt: skip
@click.option(
    "--freeze", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="With --from: share of the steps that train the heads alone, at first.",
)  # fmt: skip
@click.option(
    "--pictures", type=click.IntRange(min=1),
    help="Train on this many pictures of the split, evenly chosen. Default: all.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue from the run's last checkpoint.")
def fit(dataset: Path | None, out: Path, resume: bool, **options: Any) -> None:
    """Train a detector on DATASET. On a CPU the same seed gives the same result."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from mobiledet.run import create, load, training_pictures
    from mobiledet.training import fit as train

    if resume:
        run = load(out)
    elif dataset is None:
        raise click.UsageError("DATASET is missing: give one, or continue a run with --resume")
    else:
        run = _new_run(dataset, options)
    data = training_pictures(run.training)
    if not resume:
        create(out, run)
    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=run.training.steps)

        def progress(done: int, loss: float) -> None:
            bar.update(task, completed=done, description=f"loss {loss:.3f}")

        train(out, run, data, progress)
    click.echo(f"{out}: {run.training.steps} steps; next: edge-train export {out}")


def _new_run(dataset: Path, options: dict[str, Any]) -> Run:
    from mobiledet.run import Run, Training, training_pictures

    lengths = [name for name in ("steps", "epochs", "minutes") if options[name] is not None]
    if len(lengths) > 1:
        raise click.UsageError(f"--{lengths[0]} and --{lengths[1]}: give only one of them")
    from_coco = options["start"] == COCO
    training = Training(
        dataset=str(dataset.resolve()),
        steps=options["steps"] or (COCO_STEPS if from_coco else DEFAULT_STEPS),
        batch=options["batch"] or (COCO_BATCH if from_coco else DEFAULT_BATCH),
        **{name: options[name] for name in ("split", "seed", "loss")},
        pictures=options["pictures"] or 0,
    )
    data = training_pictures(training)
    run = Run(design=_design(data, options), training=training)
    if options["epochs"] is not None:
        run = _with(
            run, steps=max(1, round(options["epochs"] * len(data.pictures) / training.batch))
        )
    elif options["minutes"] is not None:
        from mobiledet.training import seconds_per_step

        steps = options["minutes"] * 60 / seconds_per_step(run, data)
        run = _with(run, steps=max(1, round(steps)))
    return _with_start(run, options) if options["start"] else run


def _design(data: Dataset, options: dict[str, Any]) -> Design:
    """The network by the options, or the one of the start."""
    from mobiledet.design import Design
    from mobiledet.heads.shapes import designed
    from mobiledet.start import design_from

    if not options["start"]:
        design = Design(
            labels=data.labels,
            **{name: options[name] for name in ("backbone", "alpha", "size_px", "extra")},
        )
        return designed(design, options["head"], data, options["grid_maps"])
    for name in ("backbone", "alpha", "head", "extra"):
        if _is_given(name):
            raise click.UsageError(f"--from and --{name}: the network is that of --from")
    size_px = options["size_px"] if _is_given("size_px") else 0
    return design_from(options["start"], data.labels, size_px)


def _with_start(run: Run, options: dict[str, Any]) -> Run:
    start = options["start"]
    return _with(
        run,
        start=start if start == COCO else str(Path(start).resolve()),
        freeze_steps=round(options["freeze"] * run.training.steps),
        learning_rate=HEADS_RATE,
        thawed_rate=THAWED_RATE,
    )


def _is_given(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


def _with(run: Run, **changes: Any) -> Run:
    """The run with changes of its training."""
    import msgspec

    replace = msgspec.structs.replace
    return replace(run, training=replace(run.training, **changes))
