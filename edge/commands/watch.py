"""`edge watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import client_keys, configured, keyed, settings_of

if TYPE_CHECKING:
    from edge.client import Gap


@click.command()
@configured
@click.option("--endpoint", multiple=True, metavar="ENDPOINT", help="Default: bus.endpoint.")
@keyed
@click.option(
    "--topic",
    multiple=True,
    metavar="PREFIX",
    help="Only topics that begin with PREFIX, such as `trigger.`; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after N messages.")
@click.option("--timeout", type=float, metavar="S", help="Stop after S seconds without a message.")
@click.option("--until-stopped", is_flag=True, help="Stop when the daemon stops.")
def watch(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: tuple[str, ...],
    key: Path | None,
    server_key: Path | None,
    topic: tuple[str, ...],
    as_json: bool,
    count: int | None,
    timeout: float | None,
    until_stopped: bool,
) -> None:
    """Print the messages of a running daemon."""
    from rich.console import Console

    from edge.client import Subscriber
    from edge.tools import watch as watching

    endpoints = endpoint or (settings_of(config, assignments).bus.endpoint,)
    console = Console(highlight=False, soft_wrap=True)
    received = 0
    keys = client_keys(key, server_key)
    with Subscriber(endpoints, topic or ("",), keys=keys, on_gap=_report) as subscriber:
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
        counts = f"{received} messages, {subscriber.gaps.missing} missing"
        if subscriber.unreadable:
            counts += f", {subscriber.unreadable} unreadable"
        print(counts, file=sys.stderr)


def _report(gap: Gap) -> None:
    from edge.runtime.printable import printable

    print(f"edge: {printable(gap.topic)}, messages missing: {gap.missing}", file=sys.stderr)
