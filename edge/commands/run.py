"""`edge run`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import configured, settings_of
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.runtime.logs import LogFormat


@click.command()
@configured
@click.option("--source", metavar="URI", help="picamera2:0, a video, rtsp://…, synthetic:walk …")
@click.option("--fast", is_flag=True, help="Files: as fast as possible, no frame skipped.")
@click.option("--camera", metavar="NAME", help="Name in topics and paths.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--capture-dir", metavar="DIR", help="Where captures go.")
@click.option("--endpoint", metavar="ENDPOINT", help="Where events are published.")
@click.option("--live/--no-live", default=None, help="A status line; default: on a terminal.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "journal", "json"]),
    default="auto",
    help="Default: journal under systemd, else text.",
)
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
    log_format: LogFormat,
    verbose: bool,
) -> None:
    """Runs the daemon until its source ends or it is stopped; SIGHUP reloads the configuration."""
    from edge.runtime import logs
    from edge.tools.console import run_with_console

    def load() -> Settings:
        return settings_of(
            config,
            assignments,
            source__uri=source,
            source__fast=fast,
            camera=camera,
            model__file=model,
            capture__directory=capture_dir,
            bus__endpoint=endpoint,
        )

    try:
        run_with_console(
            load(),
            load,
            live=sys.stdout.isatty() if live is None else live,
            verbose=verbose,
            log_format=log_format,
        )
    except EdgeError as error:
        if logs.resolve(log_format) == "text":
            raise
        logs.set_up(log_format, logging.INFO)
        logging.getLogger(__name__).critical("%s", error)
        raise click.exceptions.Exit(error.exit_code) from error
