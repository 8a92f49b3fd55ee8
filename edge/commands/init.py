"""`edge init`: writes a configuration, checks the machine and tries the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.config.starter import Answers

TRIAL_S = 10.0  # enough to walk through the picture


@click.command()
@click.argument("file", type=FILE, default="edge.toml")
@click.option("--source", metavar="URI", help="picamera2:0, v4l2:/dev/video0, rtsp://…, a file …")
@click.option(
    "--watch-for",
    multiple=True,
    metavar="OBJECTS",
    help="people, animals, vehicles, or labels such as cat,dog. Repeatable, for further rules.",
)
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
    file: Path,
    source: str | None,
    watch_for: tuple[str, ...],
    captures: str | None,
    camera: str | None,
    model: str | None,
    yes: bool,
    force: bool,
    examined: bool,
    trial: bool | None,
) -> None:
    """Create the configuration FILE (default: edge.toml), check this machine and try it."""
    from edge.errors import PermanentError

    if file.exists() and not force:
        advice = "choose another name, or replace it with --force"
        raise PermanentError(f"{file} exists already: {advice}")
    asks = not yes and sys.stdin.isatty()
    answers = _answers(source, watch_for, captures, camera, model, asks=asks)
    settings = _written(file, answers, force=force)
    if examined and not _healthy(settings, file):
        click.echo(f"fix the failed checks, then: edge doctor -c {file} && edge run -c {file}")
        sys.exit(1)
    if trial is None:
        trial = asks and click.confirm(f"Try it for {TRIAL_S:.0f} s?", default=True)
    if trial:
        _try(settings)
    click.echo(f"to run it: edge run -c {file}")


def _answers(
    source: str | None,
    watch_for: tuple[str, ...],
    captures: str | None,
    camera: str | None,
    model: str | None,
    *,
    asks: bool,
) -> Answers:
    """The values of the options; for missing ones, answers to questions or proposals."""
    from edge.config.starter import Answers, likely_source

    def answer(given: str | None, question: str, proposal: str) -> str:
        if given is not None or not asks:
            return given or proposal
        return str(click.prompt(question, default=proposal))

    source = answer(source, "Which camera, stream or file?", likely_source())
    if not watch_for:
        objects = "What to watch for (people, animals, vehicles, labels)?"
        watch_for = tuple(answer(None, objects, "people").split())
    return Answers(
        source=source,
        watch_for=watch_for,
        captures=answer(captures, "Where do captures go?", "captures"),
        camera=answer(camera, "What is this camera called?", "cam0"),
        model=model,
    )


def _written(file: Path, answers: Answers, *, force: bool) -> Settings:
    """Writes the file and loads it. For wrong answers it writes nothing and raises ConfigError."""
    from edge.config.load import load, loads
    from edge.config.starter import model_for, starter
    from edge.errors import ConfigError, ModelError
    from edge.runtime.files import write_file
    from edge.vision.build import check_labels
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model

    named = {"camera": answers.camera, "source.uri": answers.source}
    loads("", overrides=named | {"capture.directory": answers.captures})
    text = starter(answers)
    settings = loads(text)
    model = model_for(answers)
    try:
        read = read_model(find_model(model))
        problems = check_labels(settings, read.labels, read.groups)
        missing = ""
    except ModelError:
        problems, missing = [], f"the model is not installed: run edge models fetch {model}"
    if problems:
        raise ConfigError([problem.partition(": ")[2] for problem in problems])
    write_file(file, text.encode(), replace=force)
    rules = ", ".join(f"rule {rule.name}" for rule in settings.triggers)
    click.echo(f"{file} written: {settings.source.name}, {rules}, model {model}")
    if missing:
        click.echo(missing)
    return load(file)


def _healthy(settings: Settings, file: Path) -> bool:
    from edge.commands.doctor import show
    from edge.tools.doctor import examine

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
