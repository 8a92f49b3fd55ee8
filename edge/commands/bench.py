"""`edge bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, configured, settings_of

if TYPE_CHECKING:
    from edge.bench.accuracy import AccuracyReport


@click.group()
def bench() -> None:
    """Measures accuracy, latency and cost, here and now."""


@bench.command()
@configured
@click.option("--video", type=FILE, required=True, help="Footage of a fixed camera.")
@click.option("--ground-truth", type=FILE, required=True, help="Its objects, MOTChallenge form.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--label", default="person", show_default=True, help="What the objects are.")
@click.option("--strategy", "names", multiple=True, help="Only this; may be given again.")
@click.option("--first-frame", type=click.IntRange(min=0), default=0, metavar="N",
              help="Frames before this are played, but not counted.")  # fmt: skip
@click.option("--json", "out", type=FILE, help="Where the figures go.")
@click.option("--plot", "picture", type=FILE, help="Recall over invocations, .svg or .png.")
def accuracy(
    config: Path | None,
    assignments: tuple[str, ...],
    video: Path,
    ground_truth: Path,
    model: str | None,
    label: str,
    names: tuple[str, ...],
    first_frame: int,
    out: Path | None,
    picture: Path | None,
) -> None:
    """Compares the pipeline with whole frames and tiles, on ground truth, over every frame."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.bench.accuracy import accuracy as measure
    from edge.bench.accuracy import plot
    from edge.bench.extras import needs
    from edge.bench.strategies import strategies

    settings = settings_of(config, assignments, model__file=model, model__threads=1)
    if picture is not None:
        needs("matplotlib.figure")  # before the minutes that measuring takes
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def progress(name: str, done: int, total: int | None) -> None:
            bar.update(task, description=name, completed=done, total=total)

        report = measure(
            settings,
            video,
            ground_truth,
            names or tuple(strategies()),
            label,
            progress,
            first_frame,
        )
    _tell(report)
    _keep(report, out)
    if picture is not None:
        plot(report, picture)


@bench.command()
@configured
@click.option("--source", "uri", metavar="URI", help="Busy footage. Default: drawn people.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--json", "out", type=FILE, help="Where the figures go.")
def stages(
    config: Path | None,
    assignments: tuple[str, ...],
    uri: str | None,
    model: str | None,
    out: Path | None,
) -> None:
    """Where the CPU time of a frame goes, on busy footage."""
    from edge.bench.stages import default_source
    from edge.bench.stages import stages as measure

    source = default_source(uri)
    settings = settings_of(
        config, assignments, source__uri=source, model__file=model, model__threads=1
    )
    report = measure(settings)
    click.echo(
        f"{report.source}, {report.frames} frames, {report.model}: "
        f"{report.invocations_per_frame:.2f} invocations of {report.invocation_us:.0f} us a frame"
    )
    for name, spent_us in {**report.stage_us, "bus thread": report.bus_thread_us}.items():
        click.echo(f"  {name:12}{spent_us:9.1f} us{spent_us / report.invocation_us:9.1%}")
    click.echo(f"  {'together':12}{report.overhead:21.1%} of an invocation")
    click.echo(f"most resident memory {report.peak_rss_bytes / 1e6:.0f} MB, the footage included")
    _keep(report, out)


@bench.command()
@configured
@click.option("--rounds", default=5, show_default=True, help="The median of so many counts.")
@click.option("--json", "out", type=FILE, help="Where the figures go.")
def idle(config: Path | None, assignments: tuple[str, ...], rounds: int, out: Path | None) -> None:
    """What a frame costs beside the least that frame differencing can cost."""
    from edge.bench.idle import idle as measure

    settings = settings_of(config, assignments, model__threads=1)
    reports = [measure(settings, scene, rounds) for scene in ("still", "busy")]
    for report in reports:
        click.echo(f"{report.scene} scene, CPU of a frame, {report.invocations} invocations")
        for name, cpu_us in report.cpu_us.items():
            click.echo(f"  {name:12}{cpu_us:9.1f} us{report.over_floor[name]:9.2f} x floor")
    _keep(reports, out)


@bench.command()
@configured
@click.option("--visits", default=50, show_default=True, help="Of the drawn person; 4 s each.")
@click.option("--json", "out", type=FILE, help="Where the figures go.")
def latency(
    config: Path | None, assignments: tuple[str, ...], visits: int, out: Path | None
) -> None:
    """From an object's first exposed pixel to the trigger's receipt, at real pace."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.bench.latency import latency as measure

    settings = settings_of(config, assignments)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("triggers", total=visits)
        report = measure(settings, visits, lambda done, _: bar.update(task, completed=done))
    click.echo(
        f"{report.triggers} triggers of {report.visits} visits at {report.fps} fps, "
        f"an invocation takes {report.invocation_ms:.1f} ms\n"
        f"{'ms':38}{'p50':>9}{'p95':>9}{'p99':>9}"
    )
    for name, spread in (
        ("first pixel to receipt", report.first_pixel),
        ("  first pixel to confirming exposure", report.looks),
        ("  confirming exposure to receipt", report.exposure),
        ("    exposure to publication", report.analysis),
        ("    publication to receipt", report.transport),
    ):
        click.echo(f"{name:38}{spread.p50_ms:9.2f}{spread.p95_ms:9.2f}{spread.p99_ms:9.2f}")
    _keep(report, out)


@bench.command()
@configured
@click.option("--source", "uri", metavar="URI", help="Busy footage. Default: drawn people.")
@click.option("--frames", default=100_000, show_default=True, help="How many to analyse.")
@click.option("--json", "out", type=FILE, help="Where the figures go.")
def memory(
    config: Path | None,
    assignments: tuple[str, ...],
    uri: str | None,
    frames: int,
    out: Path | None,
) -> None:
    """What the process grows by over many frames."""
    from rich.console import Console
    from rich.progress import Progress

    from edge.bench.stages import default_source
    from edge.bench.stages import memory as measure

    settings = settings_of(config, assignments, source__uri=default_source(uri))
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=frames)
        report = measure(settings, frames, lambda done, _: bar.update(task, completed=done))
    click.echo(
        f"{report.frames} frames: {report.early_bytes / 1e6:.2f} MB after a tenth, "
        f"{report.late_bytes / 1e6:.2f} MB at the end, {report.growth_bytes / 1e6:+.2f} MB"
    )
    _keep(report, out)


def _tell(report: AccuracyReport) -> None:
    click.echo(
        f"{report.video}, {report.frames} frames, {report.model}, IoU {report.min_iou}\n"
        f"{'strategy':18}{'inv/frame':>10}{'P':>7}{'R':>7}{'F1':>7}{'IDsw':>6}"
        f"{'CPU ms':>9}{'to whole':>10}"
    )
    for row in report.rows:
        ratio = "" if row.cpu_to_whole_frame is None else f"{row.cpu_to_whole_frame:.2f} x"
        click.echo(
            f"{row.strategy:18}{row.invocations_per_frame:10.2f}{row.precision:7.3f}"
            f"{row.recall:7.3f}{row.f1:7.3f}{row.identity_switches:6d}"
            f"{row.cpu_ms_per_frame:9.2f}{ratio:>10}"
        )


def _keep(report: object, out: Path | None) -> None:
    if out is not None:
        import msgspec

        out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
