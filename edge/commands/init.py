"""`edge init`: writes a configuration, checks the machine and tries the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.options import FILE
from edge.commands.progress import working

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.config.starter import Answers

TRIAL_S = 10.0  # enough to walk through the picture
TRY = f"Try it for {TRIAL_S:.0f} s?"
OBJECTS = "people, animals, vehicles, or labels such as cat,dog: a rule for each. Repeatable."


@click.command(epilog="Example: edge init --yes --source v4l2:/dev/video0 --watch-for cat,dog")
@click.argument("file", type=FILE, default="edge.toml")
@click.option("--source", metavar="URI", help="picamera2:0, v4l2:/dev/video0, rtsp://…, a file …")
@click.option("--watch-for", multiple=True, metavar="OBJECTS", help=OBJECTS)
@click.option("--captures", metavar="DIR", help="Folder for captures.")
@click.option("--camera", metavar="NAME", help="Name of the camera in topics and paths.")
@click.option("--model", metavar="MODEL", help="Default: the smallest that detects these objects.")
@click.option("--yes", "-y", is_flag=True, help="Ask no questions; use the proposed answers.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--doctor/--no-doctor", "examined", default=True, help="Check this machine. Default: yes."
)
@click.option("--trial/--no-trial", default=None, help="Run for 10 s. Default: ask.")
def init(
    file: Path, yes: bool, force: bool, examined: bool, trial: bool | None, **given: Any
) -> None:
    """Create the configuration FILE (default: edge.toml), check this machine and try it.

    On a terminal it asks for each answer that no option gives. Otherwise, or with --yes, it takes
    the proposed ones: the connected camera, people, the folder captures, and the name cam0.
    """
    from edge.commands.questions import answers
    from edge.errors import PermanentError

    if file.exists() and not force:
        advice = "choose another name, or replace it with --force"
        raise PermanentError(f"{file} exists already: {advice}")
    asks = not yes and sys.stdin is not None and sys.stdin.isatty()
    if not (asks or yes):
        click.echo("this is no terminal: the proposed answers are used", err=True)
    state = "nothing was written"
    try:
        settings = _written(file, answers(given, asks=asks), force=force)
        state = f"{file} is complete; to run it: edge run -c {file}"
        if examined and not _healthy(settings, file):
            click.echo(f"fix the failed checks, then: edge doctor -c {file} && edge run -c {file}")
            sys.exit(1)
        if trial or (trial is None and asks and click.confirm(TRY, default=True)):
            _try(settings)
    except (KeyboardInterrupt, click.Abort) as stop:
        raise click.Abort(f"stopped: {state}") from stop
    click.echo(f"to run it: edge run -c {file}")


def _written(file: Path, answers: Answers, *, force: bool) -> Settings:
    """Writes the file and loads it. For wrong answers it writes nothing and raises ConfigError."""
    from edge.commands.questions import check_objects
    from edge.config.load import load, loads
    from edge.config.starter import model_for, starter
    from edge.errors import ModelError
    from edge.runtime.files import write_file
    from edge.vision.detector.catalogue import find_model

    check_objects(answers.watch_for, answers.model)
    text, model = starter(answers), model_for(answers)
    settings = loads(text)
    write_file(file, text.encode(), replace=force)
    rules = ", ".join(f"rule {rule.name}" for rule in settings.triggers)
    click.echo(f"{file} written: {settings.source.name}, {rules}, model {model}")
    try:
        find_model(model)
    except ModelError as error:
        click.echo(str(error))
    return load(file)


def _healthy(settings: Settings, file: Path) -> bool:
    from edge.commands.doctor import show
    from edge.tools.doctor import examine

    with working("checking this machine"):
        findings = examine(settings, file=file)
    show(findings)
    return not any(finding.state == "fail" for finding in findings)


def _try(settings: Settings) -> None:
    """Runs the daemon for a short time and prints a line for each trigger."""
    import threading

    from edge.daemon.service import Service
    from edge.messages import AnyMessage, Trigger

    def show(message: AnyMessage) -> None:
        if isinstance(message, Trigger):
            click.echo(f"trigger {message.rule}: {message.label}, score {message.score:.2f}")

    click.echo(f"running for {TRIAL_S:.0f} s: walk through the picture")
    service = Service(settings, listener=show)
    timer = threading.Timer(TRIAL_S, service.stop)
    timer.daemon = True
    timer.start()
    try:
        progress = service.run().progress
    finally:
        timer.cancel()
    click.echo(
        f"{progress.frames} frames, {progress.invocations} invocations of "
        f"{progress.inference_ms:.0f} ms, {progress.triggers} triggers, {progress.captures} "
        f"captures in {Path(settings.capture.directory, settings.camera)}"
    )
