"""`edge bridge`."""

from __future__ import annotations

from pathlib import Path

import click

from edge.commands.options import client_keys, configured, keyed, settings_of

CONTROL_S = 3.0  # a command that isn't answered by then has failed
PATIENCE = 3  # intervals of health without one, and a daemon is down
POLL_S = 0.5  # how soon a signal is heeded


@click.group()
def bridge() -> None:
    """Passes events on to what doesn't speak ZeroMQ. A program beside the daemon."""


@bridge.command()
@configured
@click.option("--endpoint", metavar="ENDPOINT", help="Default: the configuration's.")
@click.option("--control", metavar="ENDPOINT", help="Default: the configuration's.")
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
    """Publishes to an MQTT broker, with discovery for Home Assistant; see [mqtt] in edge.toml."""
    import functools
    import logging

    from edge.bridges.forward import FORWARDED, Forwarder
    from edge.bridges.mqtt import Broker
    from edge.bridges.spool import Spool
    from edge.bridges.topics import Topics
    from edge.bus.endpoint import control_endpoint
    from edge.client import Control, Subscriber
    from edge.runtime.logs import set_up
    from edge.runtime.signals import until_signal

    settings = settings_of(config, assignments)
    set_up("auto", logging.DEBUG if verbose else logging.INFO)
    keys = client_keys(key, server_key)
    make_control = functools.partial(
        Control, control or control_endpoint(settings.bus), keys=keys, timeout_s=CONTROL_S
    )
    file = settings.mqtt.spool or f"{settings.capture.directory}/.mqtt-{settings.camera}.sqlite"
    topics = Topics(settings.mqtt.prefix, settings.camera)
    broker = Broker(settings.mqtt, f"edge-{settings.camera}", topics.availability)
    spool = Spool(Path(file), settings.mqtt.spool_bytes)
    with Subscriber(endpoint or settings.bus.endpoint, FORWARDED, keys=keys) as subscriber:
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
@click.option("--endpoint", multiple=True, metavar="ENDPOINT", help="Default: the configuration's.")
@keyed
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), default=9464, show_default=True)
def prometheus(
    config: Path | None,
    assignments: tuple[str, ...],
    endpoint: tuple[str, ...],
    key: Path | None,
    server_key: Path | None,
    host: str,
    port: int,
) -> None:
    """Serves /metrics of one daemon, or of several."""
    from edge.bridges.prometheus import TOPICS, Metrics
    from edge.client import Subscriber
    from edge.runtime.signals import until_signal

    settings = settings_of(config, assignments)
    endpoints = endpoint or (settings.bus.endpoint,)
    metrics = Metrics(PATIENCE * settings.health.interval_s)
    keys = client_keys(key, server_key)
    with Subscriber(endpoints, TOPICS, keys=keys, on_gap=metrics.note) as subscriber:
        metrics.serve(host, port)
        click.echo(f"http://{host}:{port}/metrics")
        with until_signal() as stopped:
            while not stopped():
                if (event := subscriber.receive(POLL_S)) is not None:
                    metrics.hear(event)
