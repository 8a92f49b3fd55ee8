"""`edge doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import configured, settings_of

if TYPE_CHECKING:
    from edge.tools.doctor import Finding


@click.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def doctor(config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Looks for what is wrong on this machine and says how to mend it."""
    import msgspec

    from edge.tools.doctor import examine

    findings = examine(settings_of(config, assignments))
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        show(findings)
    sys.exit(any(finding.state == "fail" for finding in findings))


def show(findings: list[Finding]) -> None:
    """As a table for a person."""
    from rich.console import Console
    from rich.table import Table

    colours = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}
    table = Table("check", "", "found", "how to mend it", box=None)
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        table.add_row(finding.name, state, finding.found, finding.mend)
    Console().print(table)
