"""`edge bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.bench_tables import accuracy_table, trigger_table
from edge.commands.options import FILE, configured, settings_of
from edge.commands.progress import progress_bar, working

if TYPE_CHECKING:
    from edge.bench.daemon_idle import DaemonIdleReport
    from edge.bench.idle import IdleReport
    from edge.bench.stages import StagesReport
    from edge.config.schema import Settings

json_option = click.option("--json", "out", type=FILE, help="Also write the figures to this file.")
model_option = click.option(
    "--model", metavar="MODEL", help="A name from `edge models list`, or a file."
)
source_option = click.option(
    "--source", "uri", metavar="URI", help="Default: a scene of drawn people."
)


@click.group(epilog="Example: edge bench stages --source garden.mp4")
def bench() -> None:
    """Measure accuracy, latency and cost on this machine."""


@bench.command()
@configured
@click.option("--video", type=FILE, required=True, help="Recording of a fixed camera.")
@click.option("--ground-truth", type=FILE, required=True,
              help="The objects in it, as MOTChallenge CSV.")  # fmt: skip
@click.option("--model", "models", multiple=True, metavar="MODEL",
              help="A name from `edge models list`, or a file; repeatable.")  # fmt: skip
@click.option("--detections", multiple=True, type=FILE,
              help="Boxes of another program, as MOTChallenge CSV; repeatable.")  # fmt: skip
@click.option("--min-confidence", type=float, metavar="N",
              help="Leave out boxes of --detections below this confidence.")  # fmt: skip
@click.option("--label", default="person", show_default=True, help="Label of these objects.")
@click.option("--strategy", "names", multiple=True, metavar="NAME",
              help="Measure this strategy only; repeatable. Default: all of them for one model, "
              "packed+scheduled for several models and with --detections.")  # fmt: skip
@click.option("--first-frame", type=click.IntRange(min=0), default=0, metavar="N",
              help="Play the frames before this one, but do not count them.")  # fmt: skip
@json_option
@click.option("--plot", "picture", type=FILE, help="Plot recall over invocations: .svg or .png.")
def accuracy(
    config: Path | None,
    assignments: tuple[str, ...],
    models: tuple[str, ...],
    names: tuple[str, ...],
    out: Path | None,
    picture: Path | None,
    **task: Any,
) -> None:
    """Compare models, strategies and other programs, against ground truth.

    A model runs with the lowest score that its file names, unless model.min_score is set.
    """
    from edge.bench.accuracy import SHIPPED, Task, plot
    from edge.bench.accuracy import accuracy as measure
    from edge.bench.extras import needs
    from edge.bench.strategies import strategies

    settings = settings_of(config, assignments, model__threads=1)
    if picture is not None:
        needs("matplotlib.figure")  # fails now rather than after minutes of measuring
    compared = len(models) > 1 or task["detections"]
    names = names or ((SHIPPED,) if compared else tuple(strategies()))
    with progress_bar("") as update:
        report = measure(
            settings, Task(**task), names,
            lambda name, done, total: update(done, total, name), models,
        )  # fmt: skip
    click.echo(accuracy_table(report))
    _write(report, out)
    if picture is not None:
        plot(report, picture)


@bench.command()
@configured
@source_option
@model_option
@json_option
def stages(
    config: Path | None,
    assignments: tuple[str, ...],
    uri: str | None,
    model: str | None,
    out: Path | None,
) -> None:
    """Measure the CPU time of each stage on a busy scene."""
    from edge.bench.stages import default_source
    from edge.bench.stages import stages as measure

    settings = settings_of(
        config, assignments, source__uri=default_source(uri), model__file=model, model__threads=1
    )
    with working("measuring the stages"):
        report = measure(settings)
    _print_stages(report)
    _write(report, out)


@bench.command()
@configured
@click.option("--rounds", default=5, show_default=True, help="Measure N times, and use the median.",
              metavar="N")  # fmt: skip
@click.option("--daemon-s", default=10.0, show_default=True, metavar="S",
              type=click.FloatRange(min=0, max=3600),
              help="Seconds of video for each whole daemon; 0 leaves them out.")  # fmt: skip
@json_option
def idle(
    config: Path | None,
    assignments: tuple[str, ...],
    rounds: int,
    daemon_s: float,
    out: Path | None,
) -> None:
    """Compare the CPU time of a frame with that of plain frame differencing.

    The floor is the least that differencing can cost: resize, difference and threshold. Then whole
    daemons, with and without clips, watch a still noisy scene at its pace.
    """
    from edge.bench.daemon_idle import daemon_idle

    settings = settings_of(config, assignments, model__threads=1)
    reports = _idle_scenes(settings, rounds)
    for report in reports:
        click.echo(f"{report.scene} scene, CPU time per frame, {report.invocations} invocations")
        for name, cpu_us in report.cpu_us.items():
            click.echo(f"  {name:12}{cpu_us:9.1f} us{report.over_floor[name]:9.2f} x floor")
    if not daemon_s:
        _write(reports, out)
        return
    with progress_bar("") as update:
        whole = daemon_idle(settings, daemon_s, 1, update)
    _print_daemons(whole)
    _write([*reports, whole], out)


@bench.command()
@configured
@click.option("--video", type=FILE, help="Recording of a fixed camera.")
@click.option("--ground-truth", type=FILE, help="The objects in it, as MOTChallenge CSV.")
@click.option("--visits", type=click.IntRange(1, 50), default=10, show_default=True, metavar="N",
              help="Without a video: number of drawn visits.")  # fmt: skip
@model_option
@click.option("--label", default="person", show_default=True, help="Label of these objects.")
@click.option("--strategy", "names", multiple=True, metavar="NAME",
              help="Measure this strategy only; repeatable. Default: whole-frame, tiles, packed, "
              "packed+scheduled.")  # fmt: skip
@click.option("--starts", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N",
              help="Runs in each direction; each starts one frame later.")  # fmt: skip
@json_option
def trigger(
    config: Path | None,
    assignments: tuple[str, ...],
    video: Path | None,
    ground_truth: Path | None,
    visits: int,
    model: str | None,
    label: str,
    names: tuple[str, ...],
    starts: int,
    out: Path | None,
) -> None:
    """Measure the time from an object's first frame to its trigger, against ground truth.

    Plays a video, or drawn visits, forwards and backwards. Newcomers are the objects that appear
    after the first second.
    """
    from edge.bench import footage
    from edge.bench.trigger import STRATEGIES
    from edge.bench.trigger import trigger as measure

    if (video is None) != (ground_truth is None):
        raise click.UsageError("--video and --ground-truth belong together: give both or none")
    settings = settings_of(config, assignments, model__file=model, model__threads=1)
    with working("reading the frames"):
        if video is not None and ground_truth is not None:
            played = footage.load(settings, video, ground_truth)
        else:
            played = footage.visits(settings, visits)
    with progress_bar("") as update:
        report = measure(
            settings, played, names or STRATEGIES, label,
            lambda name, done, total: update(done, total, name), starts,
        )  # fmt: skip
    click.echo(trigger_table(report))
    _write(report, out)


@bench.command()
@configured
@click.option("--visits", default=50, show_default=True, metavar="N",
              help="Visits of the drawn person to measure; each takes 4 s.")  # fmt: skip
@json_option
def latency(
    config: Path | None, assignments: tuple[str, ...], visits: int, out: Path | None
) -> None:
    """Measure the time from the first exposed pixel to the trigger.

    A daemon watches drawn visits at their real pace; a subscriber receives the triggers.
    """
    from edge.bench.latency import latency as measure

    with progress_bar("triggers") as update:
        report = measure(settings_of(config, assignments), visits, update)
    click.echo(
        f"{report.triggers} triggers of {report.visits} visits at {report.fps} fps, "
        f"{report.invocation_ms:.1f} ms per invocation\n"
        f"{'ms':38}{'p50':>9}{'p95':>9}{'p99':>9}"
    )
    for name, spread in (
        ("first pixel to receipt", report.first_pixel),
        ("  first pixel to confirming exposure", report.looks),
        ("  confirming exposure to receipt", report.exposure),
        ("    exposure to publication", report.analysis),
        ("    publication to receipt", report.transport),
        ("an invocation alone, at this pace", report.alone),
    ):
        click.echo(f"{name:38}{spread.p50_ms:9.2f}{spread.p95_ms:9.2f}{spread.p99_ms:9.2f}")
    _write(report, out)


@bench.command()
@configured
@source_option
@click.option("--frames", default=100_000, show_default=True, metavar="N",
              help="Number of frames to analyse.")  # fmt: skip
@json_option
def memory(
    config: Path | None,
    assignments: tuple[str, ...],
    uri: str | None,
    frames: int,
    out: Path | None,
) -> None:
    """Measure the growth of memory over many frames."""
    from edge.bench.stages import default_source
    from edge.bench.stages import memory as measure

    settings = settings_of(config, assignments, source__uri=default_source(uri))
    with progress_bar("frames") as update:
        report = measure(settings, frames, update)
    click.echo(
        f"{report.frames} frames: {report.early_bytes / 1e6:.2f} MB after a tenth of them, "
        f"{report.late_bytes / 1e6:.2f} MB at the end, {report.growth_bytes / 1e6:+.2f} MB"
    )
    _write(report, out)


def _idle_scenes(settings: Settings, rounds: int) -> list[IdleReport]:
    from edge.bench.idle import ROWS
    from edge.bench.idle import idle as measure

    scenes = ("still", "busy")
    total, done = len(scenes) * rounds * ROWS, 0
    reports = []
    with progress_bar("") as update:

        def count() -> None:
            nonlocal done
            done += 1
            update(done, total)

        for scene in scenes:
            update(done, total, f"{scene} scene")
            reports.append(measure(settings, scene, rounds, count))
    return reports


def _print_daemons(report: DaemonIdleReport) -> None:
    click.echo(
        f"whole daemon, still noisy scene, {report.width}x{report.height} at {report.fps} fps, "
        "CPU time per second"
    )
    for row in report.rows:
        ratio = row.cpu_ms / report.rows[0].cpu_ms
        memory_mb = row.rss_bytes / 1e6
        click.echo(f"  {row.name:16}{row.cpu_ms:9.1f} ms{ratio:9.2f} x{memory_mb:9.0f} MB")


def _print_stages(report: StagesReport) -> None:
    click.echo(
        f"{report.source}, {report.frames} frames, {report.model}: "
        f"{report.invocations_per_frame:.2f} invocations per frame, "
        f"{report.invocation_us:.0f} us each"
    )
    for name, spent_us in {**report.stage_us, "bus thread": report.bus_thread_us}.items():
        click.echo(f"  {name:12}{spent_us:9.1f} us{spent_us / report.invocation_us:9.1%}")
    click.echo(f"  {'together':12}{report.overhead:21.1%} of an invocation")
    click.echo(f"peak memory {report.peak_rss_bytes / 1e6:.0f} MB, the footage included")


def _write(report: object, out: Path | None) -> None:
    if out is not None:
        import msgspec

        out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
