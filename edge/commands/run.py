"""`edge run`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge.commands.options import configured, settings_of


@click.command()
@configured
@click.option("--source", metavar="URI", help="picamera2:0, a video, rtsp://…, synthetic:walk …")
@click.option("--fast", is_flag=True, help="Files: as fast as possible, no frame skipped.")
@click.option("--camera", metavar="NAME", help="Name in topics and paths.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--capture-dir", metavar="DIR", help="Where captures go.")
@click.option("--endpoint", metavar="ENDPOINT", help="Where events are published.")
@click.option("--live/--no-live", default=None, help="A status line; default: on a terminal.")
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def run(
    config: Path | None,
    assignments: tuple[str, ...],
    source: str | None,
    fast: bool,
    camera: str | None,
    model: str | None,
    capture_dir: str | None,
    endpoint: str | None,
    live: bool | None,
    verbose: bool,
) -> None:
    """Runs the daemon until its source ends or it is stopped."""
    from edge.console import run_with_console

    settings = settings_of(
        config,
        assignments,
        source__uri=source,
        source__fast=fast,
        camera=camera,
        model__file=model,
        capture__directory=capture_dir,
        bus__endpoint=endpoint,
    )
    run_with_console(settings, live=sys.stdout.isatty() if live is None else live, verbose=verbose)
