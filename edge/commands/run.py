"""`edge run`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import configured, settings_of
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.runtime.logs import LogFormat


@click.command(
    epilog="\b\nExamples:\n  edge run -c edge.toml\n  edge run --source synthetic:people"
)
@configured
@click.option("--source", metavar="URI", help="picamera2:0, v4l2:/dev/video0, rtsp://…, a video …")
@click.option("--fast", is_flag=True, help="Read files as fast as possible and skip no frame.")
@click.option("--camera", metavar="NAME", help="Its name, in topics, paths and the endpoint.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
@click.option("--capture-dir", metavar="DIR", help="Folder for captures.")
@click.option("--endpoint", metavar="ENDPOINT", help="Address to publish events on.")
@click.option("--live/--no-live", default=None, help="Show a status line. Default: on a terminal.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "journal", "json"]),
    default="auto",
    help="Default: journal under systemd, otherwise text.",
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
    """Run the daemon until its source ends or it is stopped.

    SIGTERM and SIGINT (Ctrl-C) stop it; captures in progress are completed. SIGHUP reloads the
    configuration; options override it then, too.
    """
    from edge.config.cameras import refuse_copy
    from edge.tools.console import run_with_console

    def load() -> Settings:
        own = {} if camera is None else {"bus.endpoint": f"ipc:///tmp/edge-{camera}.ipc"}
        settings = settings_of(
            config,
            assignments,
            fallbacks=own,
            source__uri=source,
            source__fast=fast,
            camera=camera,
            model__file=model,
            capture__directory=capture_dir,
            bus__endpoint=endpoint,
        )
        refuse_copy(config, settings)
        return settings

    live = sys.stdout.isatty() if live is None else live
    with _errors_in_the_log(log_format):
        run_with_console(load(), load, live=live, verbose=verbose, log_format=log_format)


@contextmanager
def _errors_in_the_log(log_format: LogFormat) -> Iterator[None]:
    """Logs an error that ends the program, if the log is for programs; otherwise raises it."""
    from edge.runtime import logs

    try:
        yield
    except EdgeError as error:
        if logs.resolve(log_format) == "text":
            raise
        logs.set_up(log_format, logging.INFO)
        logging.getLogger(__name__).critical("%s", error)
        raise click.exceptions.Exit(error.exit_code) from error
