"""`edge bridge`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import client_keys, configured, keyed, settings_of

if TYPE_CHECKING:
    from edge.client import ClientKeys, Control
    from edge.config.schema import Settings

CONTROL_S = 3.0  # longest wait for a reply, during which no message is forwarded
MISSED_INTERVALS = 3  # of health messages, until a daemon counts as down
POLL_S = 0.5  # longest time until a signal is noticed


@click.group()
def bridge() -> None:
    """Forward events to an MQTT broker, to Prometheus or to phones."""


@bridge.command()
@configured
@click.option("--endpoint", metavar="ENDPOINT", help="Default: bus.endpoint.")
@click.option("--control", metavar="ENDPOINT", help="Default: bus.control.")
@keyed
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def mqtt(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: str | None,
    control: str | None,
    key: Path | None,
    server_key: Path | None,
    verbose: bool,
) -> None:
    """Publish to an MQTT broker, with discovery for Home Assistant.

    The section [mqtt] of the configuration names the broker.
    """
    import functools
    import logging

    from edge.bus.endpoint import control_endpoint
    from edge.client import Control
    from edge.runtime.logs import set_up

    settings = settings_of(config, assignments)
    set_up("auto", logging.DEBUG if verbose else logging.INFO)
    keys = client_keys(key, server_key)
    make_control = functools.partial(
        Control, control or control_endpoint(settings.bus), keys=keys, timeout_s=CONTROL_S
    )
    _forward(settings, endpoint or settings.bus.endpoint, keys, make_control)


def _forward(
    settings: Settings,
    endpoint: str,
    keys: ClientKeys | None,
    make_control: Callable[[], Control],
) -> None:
    """Runs the MQTT bridge until a signal."""
    from edge.bridges.forward import FORWARDED, Forwarder
    from edge.bridges.mqtt import Broker
    from edge.bridges.spool import Spool
    from edge.bridges.topics import Topics
    from edge.client import Subscriber
    from edge.runtime.signals import until_signal

    file = settings.mqtt.spool or f"{settings.capture.directory}/.mqtt-{settings.camera}.sqlite"
    topics = Topics(settings.mqtt.prefix, settings.camera)
    broker = Broker(settings.mqtt, f"edge-{settings.camera}", topics.availability)
    spool = Spool(Path(file), settings.mqtt.spool_bytes)
    with Subscriber(endpoint, FORWARDED, keys=keys) as subscriber:
        forwarder = Forwarder(settings, subscriber, broker, spool, make_control)
        with until_signal() as stopped:
            forwarder.start()
            try:
                while not stopped():
                    forwarder.step()
            finally:
                broker.stop()
                spool.close()


@bridge.command()
@configured
@click.option("--endpoint", multiple=True, metavar="ENDPOINT", help="Default: bus.endpoint.")
@keyed
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=9464,
    show_default=True,
    help="Port to listen on.",
)
def prometheus(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: tuple[str, ...],
    key: Path | None,
    server_key: Path | None,
    host: str,
    port: int,
) -> None:
    """Serve metrics of one or more daemons for Prometheus, at /metrics."""
    from edge.bridges.prometheus import TOPICS, Metrics
    from edge.client import Subscriber
    from edge.runtime.signals import until_signal

    settings = settings_of(config, assignments)
    endpoints = endpoint or (settings.bus.endpoint,)
    metrics = Metrics(MISSED_INTERVALS * settings.health.interval_s)
    keys = client_keys(key, server_key)
    with Subscriber(endpoints, TOPICS, keys=keys, on_gap=metrics.note_gap) as subscriber:
        metrics.serve(host, port)
        click.echo(f"http://{host}:{port}/metrics")
        with until_signal() as stopped:
            while not stopped():
                if (event := subscriber.receive(POLL_S)) is not None:
                    metrics.note(event)


@bridge.command()
@configured
@click.option("--endpoint", metavar="ENDPOINT", help="Default: bus.endpoint.")
@keyed
@click.option("--test", is_flag=True, help="Send one push to each address, and say what happened.")
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def notify(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: str | None,
    key: Path | None,
    server_key: Path | None,
    test: bool,
    verbose: bool,
) -> None:
    """Push events and problems to phones, mailboxes and chats.

    The [[notify]] sections of the configuration name the receivers.
    """
    import logging

    from edge.bridges.notify.push import TOPICS, Notifier, receivers_of
    from edge.client import Subscriber
    from edge.runtime.logs import set_up
    from edge.runtime.signals import until_signal

    settings = settings_of(config, assignments)
    if test:
        _test_addresses(settings)
        return
    set_up("auto", logging.DEBUG if verbose else logging.INFO)
    receivers = receivers_of(settings)
    keys = client_keys(key, server_key)
    with Subscriber(endpoint or settings.bus.endpoint, TOPICS, keys=keys) as subscriber:
        notifier = Notifier(settings, subscriber, receivers)
        with until_signal() as stopped:
            notifier.start()
            try:
                while not stopped():
                    notifier.step()
            finally:
                notifier.stop()


def _test_addresses(settings: Settings) -> None:
    """Raises PermanentError if a push was not delivered."""
    from edge.bridges.notify.push import addresses_of_all, sample_push
    from edge.errors import PermanentError

    failed = 0
    addresses = [address for _, several in addresses_of_all(settings) for address in several]
    for address in addresses:
        reason = address.send(sample_push(settings))
        failed += bool(reason)
        click.echo(f"{address.label}: {f'not delivered: {reason}' if reason else 'delivered'}")
    if failed:
        raise PermanentError(f"{failed} of {len(addresses)} addresses could not be reached")
