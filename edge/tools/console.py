"""`edge run`: what happens, line by line, with a live line below it on a terminal.

Standard output is for a person. Where a log is asked for, the events go to the log instead.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.text import Text

from edge.config.schema import Settings
from edge.daemon.daemon import Daemon
from edge.daemon.progress import Rates
from edge.daemon.service import Load, run
from edge.messages import AnyMessage, Capture, Trigger
from edge.runtime import logs

REFRESH_PER_S = 4

log = logging.getLogger(__name__)


class LiveLine:
    """Draws itself from the daemon's progress; `rich` calls for it from a thread of its own."""

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self._rates = Rates()

    def __rich__(self) -> Text:
        if self.daemon is None:
            return Text("starting")
        progress, rates = self.daemon.progress, self._rates
        rates.read(progress)
        return Text(
            f"{rates.fps:5.1f} fps  motion {progress.changed:4.0%} in {progress.blobs:2d} blobs  "
            f"{rates.invocations_per_s:4.1f} invocations/s of {progress.inference_ms:.0f} ms  "
            f"{progress.tracks:2d} tracks  {progress.triggers} triggers",
            style="dim",
        )


def run_with_console(
    settings: Settings, load: Load, *, live: bool, verbose: bool, log_format: logs.LogFormat
) -> None:
    """Runs to the end, with a live line, with plain lines or with a log.

    load: reads the configuration again.
    """
    level = logging.DEBUG if verbose else logging.INFO
    if logs.resolve(log_format) != "text":
        logs.set_up(log_format, level)
        log.info("watching", extra=logs.fields(**_what(settings)))
        daemon = run(settings, load, _log)
        log.info("ended", extra=logs.fields(**_counts(daemon)))
        return
    console = Console(highlight=False, soft_wrap=True)
    shown = RichHandler(console=console, show_path=False, show_level=False) if live else None
    logs.set_up(log_format, level, shown)
    line, lock = LiveLine(), threading.Lock()

    def tell(message: AnyMessage) -> None:
        with lock:
            _print(console, message)

    console.print(f"watching {settings.source.uri}, publishing on {settings.bus.endpoint}")
    if not live:
        daemon = run(settings, load, tell)
    else:
        with Live(line, console=console, refresh_per_second=REFRESH_PER_S, transient=True):
            daemon = run(settings, load, tell, lambda started: setattr(line, "daemon", started))
    told = ", ".join(f"{count} {name}" for name, count in _counts(daemon).items())
    console.print(f"{told} in {Path(settings.capture.directory, settings.camera)}")


def _what(settings: Settings) -> dict[str, str]:
    return {
        "camera": settings.camera,
        "source": settings.source.uri,
        "endpoint": settings.bus.endpoint,
    }


def _counts(daemon: Daemon) -> dict[str, int]:
    progress = daemon.progress
    return {
        "frames": progress.frames,
        "invocations": progress.invocations,
        "triggers": progress.triggers,
        "captures": progress.captures,
    }


def _log(message: AnyMessage) -> None:
    match message:
        case Trigger():
            about = logs.fields(
                rule=message.rule,
                label=message.label,
                track=message.track_id,
                score=message.score,
                event=message.event_id,
            )
            log.info("trigger", extra=about)
        case Capture():
            events = ",".join(message.event_ids)
            about = logs.fields(kind=message.capture, path=message.path, event=events)
            log.info("capture", extra=about)


def _print(console: Console, message: AnyMessage) -> None:
    match message:
        case Trigger():
            what = f"{message.label} #{message.track_id}, score {message.score:.2f}"
            console.print(f"[green]trigger[/] {message.rule}: {what}")
        case Capture():
            console.print(f"[cyan]{message.capture}[/] {message.path}")
