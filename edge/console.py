"""`edge run` on a terminal: what happens, line by line, and a live line below it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.text import Text

from edge.daemon import Daemon, run
from edge.health import Rates
from edge.messages import AnyMessage, Capture, Trigger
from edge.settings import Settings

REFRESH_PER_S = 4


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


def run_with_console(settings: Settings, *, live: bool, verbose: bool) -> None:
    """Runs the daemon to its end, with a live line or with plain lines for a log."""
    console = Console(highlight=False, soft_wrap=True)
    level = logging.DEBUG if verbose else logging.INFO
    if live:
        handler: logging.Handler = RichHandler(console=console, show_path=False, show_level=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    line, lock = LiveLine(), threading.Lock()

    def tell(message: AnyMessage) -> None:
        with lock:
            _print(console, message)

    folder = Path(settings.capture.directory, settings.camera)
    console.print(f"watching {settings.source.uri}, publishing on {settings.bus.endpoint}")
    if not live:
        daemon = run(settings, tell)
    else:
        with Live(line, console=console, refresh_per_second=REFRESH_PER_S, transient=True):
            daemon = run(settings, tell, lambda started: setattr(line, "daemon", started))
    progress = daemon.progress
    console.print(
        f"{progress.frames} frames, {progress.invocations} invocations, "
        f"{progress.triggers} triggers, {progress.captures} captures in {folder}"
    )


def _print(console: Console, message: AnyMessage) -> None:
    match message:
        case Trigger():
            what = f"{message.label} #{message.track_id}, score {message.score:.2f}"
            console.print(f"[green]trigger[/] {message.rule}: {what}")
        case Capture():
            console.print(f"[cyan]{message.capture}[/] {message.path}")
