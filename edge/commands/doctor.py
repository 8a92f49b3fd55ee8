"""`edge doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import service, settings_of
from edge.commands.progress import working
from edge.runtime.printable import printable

if TYPE_CHECKING:
    from edge.tools.doctor import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


@click.command(epilog="Example: edge doctor -c /etc/edge/cam0.toml")
@service
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def doctor(config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Check this machine and report how to fix each fault.

    It checks the packages, the model, the camera, the captures folder, the endpoint, temperature,
    power supply, memory and clock. The exit code is 0 if all is well, 1 if a check fails, and 2 for
    wrong options or a wrong configuration. Without a configuration only the machine is checked.
    """
    import msgspec

    from edge.config.cameras import clashes
    from edge.tools.doctor import Finding, examine

    settings = settings_of(config, assignments)
    findings = [
        Finding("other cameras", "fail", line, "edit the file")
        for line in clashes(config, settings)
    ]
    configuration = config or (Path("command line") if assignments else None)
    with working("checking this machine"):
        findings += examine(settings, file=configuration)
    if as_json:
        click.echo(printable(msgspec.json.encode(findings).decode()))
    else:
        show(findings)
    failed = any(finding.state == "fail" for finding in findings)
    sys.exit(1 if failed else 0)


def show(findings: list[Finding]) -> None:
    """Prints a table for a person."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", box=None)
    for heading in ("found", "how to fix it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        state = Text(finding.state, COLOURS[finding.state])
        table.add_row(
            finding.name, state, Text(printable(finding.found)), Text(printable(finding.fix))
        )
    Console().print(table)
