"""Commands. Thin: each reads its options, calls one function and prints what came of it.

Heavy modules are imported inside the commands, so that `edge --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge import __version__
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.settings import Settings

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def main() -> None:
    """Entry point: expected errors become one sentence each and an exit code, never a traceback."""
    try:
        sys.exit(commands(standalone_mode=False))
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgeError as error:
        for line in str(error).splitlines():
            print(f"edge: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone: nothing to tell anybody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        said = f"{type(error).__name__}: {error}"
        print(f"edge: internal error: {said} (EDGE_DEBUG=1 shows where)", file=sys.stderr)
        sys.exit(EXIT_INTERNAL)


def configured(command: Command) -> Command:
    """The options from which every command makes its settings."""
    for option in (
        click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
                     help="Overrides a key, for instance motion.sensitivity=1.5."),
        click.option("--config", "-c", type=FILE, metavar="FILE",
                     help="Default: $EDGE_CONFIG, ./edge.toml, /etc/edge/edge.toml."),
    ):  # fmt: skip
        command = option(command)
    return command


def _settings(config: Path | None, assignments: tuple[str, ...], **named: object) -> Settings:
    """A file's settings and the command line's overrides; `named` has `__` for the `.` of a key."""
    from edge.config import load

    overrides: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {assignment}: write KEY=VALUE")
        overrides[key.strip()] = value
    overrides |= {k.replace("__", "."): v for k, v in named.items() if v not in (None, False)}
    return load(config, overrides)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edge")
def commands() -> None:
    """Watches a camera, detects what moves, and triggers captures."""


@commands.command()
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

    settings = _settings(
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


@commands.command("check-config")
@click.argument("file", type=FILE, required=False)
def check_config(file: Path | None) -> None:
    """Checks a configuration and lists every problem in it."""
    from edge.catalog import find_model
    from edge.config import check_labels, load
    from edge.detector import read_model
    from edge.errors import ConfigError, ModelError

    settings = load(file)
    try:
        labels = read_model(find_model(settings.model.file)).labels
    except ModelError as error:
        raise ConfigError(str(error)) from error
    problems = check_labels(settings, labels)
    if problems:
        raise ConfigError(problems)
    click.echo("configuration is valid")


@commands.group("config")
def config_group() -> None:
    """Shows and explains the configuration."""


@config_group.command()
@configured
@click.option("--commented", is_flag=True, help="The defaults as a commented file to start from.")
def show(config: Path | None, assignments: tuple[str, ...], commented: bool) -> None:
    """Prints the whole configuration as TOML, defaults included."""
    from edge import config as configuration

    if commented:
        click.echo(configuration.commented(), nl=False)
    else:
        click.echo(configuration.to_toml(_settings(config, assignments)), nl=False)


@config_group.command()
@click.argument("key", required=False)
@click.option("--markdown", is_flag=True, help="As a table for a document.")
def explain(key: str | None, markdown: bool) -> None:
    """Explains every key, or those that begin with KEY."""
    from edge import config as configuration

    if markdown:
        click.echo(configuration.markdown(), nl=False)
        return
    rows = [row for row in configuration.explain() if not key or row.key.startswith(key)]
    if not rows:
        raise click.UsageError(f"no key begins with {key}")
    for row in rows:
        click.secho(row.key, bold=True, nl=False)
        limits = f", {row.range}" if row.range else ""
        click.echo(f"  {row.type}{limits}, default {row.default}\n    {row.description}")


@commands.command()
@configured
@click.option("--endpoint", multiple=True, metavar="ENDPOINT", help="Default: the configuration's.")
@click.option("--topic", multiple=True, metavar="PREFIX", help="For instance trigger. or health.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for a pipe.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many events.")
@click.option("--timeout", type=float, metavar="S", help="Stop when none came for so long.")
@click.option("--until-stopped", is_flag=True, help="Stop when the daemon stops.")
def watch(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: tuple[str, ...],
    topic: tuple[str, ...],
    as_json: bool,
    count: int | None,
    timeout: float | None,
    until_stopped: bool,
) -> None:
    """Prints the events of a running daemon."""
    from rich.console import Console

    from edge import watch as watching
    from edge.client import Gap, Subscriber

    def tell(gap: Gap) -> None:
        print(f"edge: {gap.missing} message(s) of {gap.topic} missing", file=sys.stderr)

    endpoints = endpoint or (_settings(config, assignments).bus.endpoint,)
    console = Console(highlight=False, soft_wrap=True)
    received = 0
    with Subscriber(endpoints, topic or ("",), on_gap=tell) as subscriber:
        try:
            for event in watching.events(
                subscriber, count=count, until_stopped=until_stopped, timeout_s=timeout
            ):
                received += 1
                if as_json:
                    print(watching.as_json(event), flush=True)
                else:
                    console.print(watching.as_text(event))
        except KeyboardInterrupt:
            pass
        print(f"{received} messages, {subscriber.gaps.missing} missing", file=sys.stderr)


@commands.group()
def models() -> None:
    """Lists, describes and fetches models."""


@models.command("list")
def list_models() -> None:
    """Lists the models of the catalogue and those installed."""
    from edge.catalog import installed_models, load_catalog

    installed, catalog = installed_models(), load_catalog()
    for name in sorted({*installed, *catalog}):
        state = str(installed[name]) if name in installed else f"edge models fetch {name}"
        about = catalog[name].description if name in catalog else "your own"
        click.secho(name, bold=True)
        click.echo(f"  {about}\n  {state}")


@models.command()
@click.argument("name")
def info(name: str) -> None:
    """Tells what a model file is: size, hash, input, labels."""
    from edge.catalog import model_info

    model = model_info(name)
    labels = ", ".join(model.labels[:12]) + (" …" if len(model.labels) > 12 else "")
    click.echo(
        f"file     {model.path}\nsize     {model.size_bytes} bytes\nsha256   {model.sha256}\n"
        f"boxes    {model.decoding}\nlabels   {len(model.labels)}: {labels}"
    )


@models.command()
@click.argument("name")
@click.option("--from", "from_file", type=FILE, metavar="FILE", help="A copy already at hand.")
@click.option("--dir", "directory", type=FOLDER, metavar="DIR", help="Where to install it.")
def fetch(name: str, from_file: Path | None, directory: Path | None) -> None:
    """Downloads a model of the catalogue, verifies and installs it."""
    from rich.console import Console
    from rich.progress import Progress

    from edge import catalog

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        path = catalog.fetch(
            name,
            directory,
            from_file,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo(path)


@commands.command()
@configured
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--out", type=FILE, metavar="MP4", help="Annotated video.")
@click.option("--report", type=FILE, metavar="HTML", help="Report with a timeline and stills.")
@click.option("--model", metavar="MODEL", help="A name from `edge models list`, or a file.")
def replay(
    config: Path | None,
    assignments: tuple[str, ...],
    video: Path,
    out: Path | None,
    report: Path | None,
    model: str | None,
) -> None:
    """Plays footage through the pipeline and shows what it would have done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from edge.replay import replay as play

    settings = _settings(
        config, assignments, source__uri=str(video), source__fast=True, model__file=model
    )
    folder = Path("replay-out")
    out = out or folder / f"{video.stem}.mp4"
    report = report or folder / f"{video.stem}.html"
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)
        summary = play(
            settings, out, report, lambda done, total: bar.update(task, completed=done, total=total)
        )
    click.echo(summary.told())
    click.echo(f"video   {out}\nreport  {report}")


@commands.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def doctor(config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Looks for what is wrong on this machine and says how to mend it."""
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from edge.doctor import examine

    findings = examine(_settings(config, assignments))
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        colours = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}
        table = Table("check", "", "found", "how to mend it", box=None)
        for finding in findings:
            state = f"[{colours[finding.state]}]{finding.state}[/]"
            table.add_row(finding.name, state, finding.found, finding.mend)
        Console().print(table)
    sys.exit(any(finding.state == "fail" for finding in findings))


if __name__ == "__main__":
    main()
