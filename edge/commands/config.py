"""`edge check-config` and `edge config`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import FILE, configured, settings_of
from edge.runtime.printable import printable


@click.command("check-config")
@click.argument("file", type=FILE, required=False)
def check_config(file: Path | None) -> None:
    """Check a configuration and list every problem in it."""
    from edge.config.cameras import clashes
    from edge.config.instances import find
    from edge.config.load import load
    from edge.errors import ConfigError, ModelError
    from edge.sources import check as check_source
    from edge.vision.build import check_labels
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model

    file = file or find()
    settings = load(file)
    try:
        model = read_model(find_model(settings.model.file), settings.model)
    except ModelError as error:
        raise ConfigError(str(error)) from error
    problems = [*check_source(settings.source), *check_labels(settings, model.labels, model.groups)]
    problems += clashes(file, settings)
    if problems:
        raise ConfigError(problems)
    read = f"{file}: " if file else "no configuration file found, so the defaults are used: "
    click.echo(printable(f"{read}configuration is valid"))


@click.group("config")
def config_group() -> None:
    """Show and explain the configuration."""


@config_group.command()
@configured
@click.option("--commented", is_flag=True, help="Print the defaults as a commented file instead.")
def show(config: Path | None, assignments: tuple[str, ...], commented: bool) -> None:
    """Print the whole configuration as TOML, defaults included, without credentials."""
    from msgspec.structs import replace

    from edge.config import explain

    if commented:
        click.echo(explain.commented(), nl=False)
    else:
        settings = settings_of(config, assignments)
        shown = replace(settings, source=replace(settings.source, uri=settings.source.name))
        click.echo(explain.to_toml(shown), nl=False)


@config_group.command("explain")
@click.argument("key", required=False)
@click.option("--markdown", is_flag=True, help="Print Markdown tables of all keys instead.")
def explain_keys(key: str | None, markdown: bool) -> None:
    """Explain every key, or those that begin with KEY; if none does, those that contain it."""
    from edge.config import explain
    from edge.config.words import suggestion

    if markdown:
        click.echo(explain.markdown(), nl=False)
        return
    known = explain.explain()
    rows = [row for row in known if not key or row.key.startswith(key)]
    rows = rows or [row for row in known if key and key.lower() in row.key]
    if not rows:
        advice = suggestion(str(key), [row.key for row in known])
        advice = advice or "; `edge config explain` lists all keys"
        raise click.UsageError(f"no key contains {key}{advice}")
    for row in rows:
        click.secho(row.key, bold=True, nl=False)
        limits = f", {row.range}" if row.range else ""
        default = f"default {row.default}" if row.default else row.absent
        click.echo(f"  {row.type}{limits}, {default}\n    {row.description}")
