"""`edge check-config` and `edge config`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import CONFIGURATION, configured, loaded, settings_of

if TYPE_CHECKING:
    from edge.config.schema import Settings


@click.command("check-config")
@click.argument("file", type=CONFIGURATION, required=False)
def check_config(file: Path | None) -> None:
    """Check the configuration FILE and list every problem in it.

    Without FILE it checks the one that `edge run` would read, or the installed instance's. The exit
    code is 0 if the configuration is valid, and 2 if it has problems.
    """
    from edge.config.instances import find
    from edge.config.load import SEARCHED, files_of
    from edge.errors import ConfigError

    file = file or find()
    files = ", ".join(map(str, files_of(file)))
    places = " or ".join(map(str, SEARCHED))
    read = files or f"no file was read, as there is no {places}; the defaults were checked"
    try:
        problems = _problems(file, loaded(file))
    except ConfigError as error:
        problems = error.problems
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ConfigError([*problems, f"{read}: {count}"])
    click.echo(f"{read}: configuration is valid")


def _problems(file: Path | None, settings: Settings) -> list[str]:
    """What the settings ask of the source, the model and other cameras, and can't have."""
    from edge.config.cameras import clashes
    from edge.errors import ModelError
    from edge.sources import check as check_source
    from edge.vision.build import check_labels
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model

    problems = check_source(settings.source)
    try:
        model = read_model(find_model(settings.model.file), settings.model)
        problems += check_labels(settings, model.labels, model.groups)
    except ModelError as error:
        problems.append(str(error))
    return problems + clashes(file, settings)


@click.group("config")
def config_group() -> None:
    """Show and explain the configuration."""


@config_group.command()
@configured
@click.option("--commented", is_flag=True, help="Print the defaults as a commented file instead.")
def show(config: Path | None, assignments: tuple[str, ...], commented: bool) -> None:
    """Print the whole configuration as TOML, defaults included, without credentials."""
    from edge.config import explain

    if commented:
        click.echo(explain.commented(), nl=False)
    else:
        settings = settings_of(config, assignments)
        click.echo(explain.to_toml(explain.without_secrets(settings)), nl=False)


@config_group.command("explain")
@click.argument("words", nargs=-1)
@click.option("--markdown", is_flag=True, help="Print Markdown tables of all keys instead.")
def explain_keys(words: tuple[str, ...], markdown: bool) -> None:
    """Explain every key, or those that WORDS find.

    These are the keys that begin with WORDS, otherwise those that contain them, otherwise those
    with all of WORDS in their description.
    """
    from edge.config import explain
    from edge.config.words import suggestion

    key = " ".join(words)
    if markdown:
        click.echo(explain.markdown(), nl=False)
        return
    rows = explain.search(key) if key else explain.explain()
    if not rows:
        known = explain.explain()
        advice = suggestion(key, [*(row.key for row in known), *(row.name for row in known)])
        advice = advice or "; `edge config explain` lists all keys"
        raise click.UsageError(f"no key and no description contains {key}{advice}")
    for row in rows:
        click.secho(row.key, bold=True, nl=False)
        limits = f", {row.range}" if row.range else ""
        default = f"default {row.default}" if row.default else row.absent
        click.echo(f"  {row.type}{limits}, {default}\n    {row.description}")
