"""`edge watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import client_keys, keyed, service, settings_of

if TYPE_CHECKING:
    from edge.client import Gap, Subscriber


@click.command()
@service
@click.option("--endpoint", multiple=True, metavar="ENDPOINT", help="Default: bus.endpoint.")
@keyed
@click.option(
    "--topic",
    multiple=True,
    metavar="PREFIX",
    help="Only topics that begin with PREFIX, such as `trigger.`; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Also print health, tracks and detections.")
@click.option("--json", "as_json", is_flag=True, help="Print all messages as lines of JSON.")
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
    everything: bool,
    as_json: bool,
    count: int | None,
    timeout: float | None,
    until_stopped: bool,
) -> None:
    """Print triggers and captures; with --all, --json or --topic also other messages."""
    from rich.console import Console

    from edge.client import Subscriber
    from edge.tools import watch as watching

    endpoints = endpoint or (settings_of(config, assignments).bus.endpoint,)
    console = Console(highlight=False, soft_wrap=True)
    received = 0
    keys = client_keys(key, server_key)
    topics = topic or _topics(everything=everything or as_json, health=until_stopped)
    _report_waiting(endpoints)
    with Subscriber(endpoints, topics, keys=keys, on_gap=_report) as subscriber:
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
        _report_counts(received, subscriber)


def _topics(*, everything: bool, health: bool) -> tuple[str, ...]:
    if everything:
        return ("",)
    return ("trigger.", "capture.", "health.") if health else ("trigger.", "capture.")


def _report_counts(received: int, subscriber: Subscriber) -> None:
    counts = f"{received} messages, {subscriber.gaps.missing} missing"
    if subscriber.unreadable:
        counts += f", {subscriber.unreadable} unreadable"
    print(counts, file=sys.stderr)


def _report_waiting(endpoints: tuple[str, ...]) -> None:
    """Reports what is waited for. Raises BusError if this user may not connect."""
    from edge.bus.presence import listens
    from edge.runtime.printable import printable

    for endpoint in endpoints:
        absent = "" if listens(endpoint) else "; no daemon listens there yet"
        text = f"waiting for the first message of {printable(endpoint)}{absent}"
        print(text, file=sys.stderr, flush=True)


def _report(gap: Gap) -> None:
    from edge.runtime.printable import printable

    print(f"edge: {printable(gap.topic)}, messages missing: {gap.missing}", file=sys.stderr)
