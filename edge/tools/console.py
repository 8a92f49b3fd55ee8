"""The output of `edge run`: a line per event and, on a terminal, a status line below them.

It is for a person. With a log format for programs, the events go to the log instead.
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
from edge.runtime.memory import skip_loaded_objects
from edge.runtime.open_files import raise_limit
from edge.runtime.printable import printable, printable_lines

REFRESH_PER_S = 4  # often enough to look live, rarely enough to cost little

log = logging.getLogger(__name__)


class SafeHandler(RichHandler):
    """Prints log records without interpreting their text."""

    def render_message(self, _record: logging.LogRecord, message: str) -> Text:
        return Text(printable_lines(message))


class StatusLine:
    """Shows the daemon's progress; `rich` draws it in another thread."""

    def __init__(self) -> None:
        self._daemon: Daemon | None = None
        self._rates = Rates()

    def follow(self, daemon: Daemon) -> None:
        """Shows this daemon from now on; a reload starts another one."""
        self._daemon = daemon

    def __rich__(self) -> Text:
        if self._daemon is None:
            return Text("starting")
        if self._daemon.waiting:
            return Text(f"waiting for {self._daemon.settings.source.name}", style="dim")
        progress, rates = self._daemon.progress, self._rates
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
    """Runs a daemon to its end, with lines for a person or with a log for programs.

    load: reads the configuration again. live: shows the status line. Raises EdgeError.
    """
    raise_limit()
    skip_loaded_objects()
    level = logging.DEBUG if verbose else logging.INFO
    if logs.resolve(log_format) == "text":
        _run_for_a_person(settings, load, level, live=live)
    else:
        logs.set_up(log_format, level)
        _run_with_log(settings, load)


def _run_with_log(settings: Settings, load: Load) -> None:
    about = logs.fields(
        camera=settings.camera, source=settings.source.name, endpoint=settings.bus.endpoint
    )
    log.info("starting", extra=about)
    daemon = run(settings, load, _log)
    log.info("ended", extra=logs.fields(**_counts(daemon)))


def _run_for_a_person(settings: Settings, load: Load, level: int, *, live: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    handler = SafeHandler(console=console, show_path=False, show_level=False) if live else None
    logs.set_up("text", level, handler)
    status, lock = StatusLine(), threading.Lock()
    captures = Path(settings.capture.directory, settings.camera)

    def print_event(message: AnyMessage) -> None:
        with lock:
            _print(console, message)

    _write(console, f"camera {settings.camera}: source {settings.source.name}")
    _write(console, f"events: {settings.bus.endpoint}, captures: {captures}")
    if live:
        with Live(status, console=console, refresh_per_second=REFRESH_PER_S, transient=True):
            daemon = run(settings, load, print_event, status.follow)
    else:
        daemon = run(settings, load, print_event)
    totals = ", ".join(f"{count} {name}" for name, count in _counts(daemon).items())
    _write(console, f"ended: {totals}")


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
            about = logs.fact(
                rule=message.rule,
                label=message.label,
                track=message.track_id,
                score=message.score,
                event=message.event_id,
            )
            log.info("trigger", extra=about)
        case Capture() if message.failure:
            events = ",".join(message.event_ids)
            about = logs.fact(kind=message.capture, event=events, reason=message.failure)
            log.warning("capture failed", extra=about)
        case Capture():
            events = ",".join(message.event_ids)
            about = logs.fact(kind=message.capture, path=message.path, event=events)
            log.info("capture", extra=about)


def _print(console: Console, message: AnyMessage) -> None:
    match message:
        case Trigger():
            track = f"{message.label} #{message.track_id}, score {message.score:.2f}"
            _write(console, ("trigger", "green"), f" {message.rule}: {track}")
        case Capture() if message.failure:
            _write(console, (f"no {message.capture}", "red"), f": {message.failure}")
        case Capture():
            _write(console, (message.capture, "cyan"), f" {message.path}")


def safe_text(*parts: str | tuple[str, str]) -> Text:
    """Texts with or without a style. Markup and control characters are shown, not interpreted."""
    line = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(printable(text), style)
    return line


def _write(console: Console, *parts: str | tuple[str, str]) -> None:
    """Prints texts on one line, each with or without a style, and without interpreting them."""
    console.print(safe_text(*parts))
