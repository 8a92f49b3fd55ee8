"""Health and triggers as Prometheus metrics, at http://HOST:PORT/metrics.

The values are those of the last health message. If a camera's health messages stop, only its
`edge_up` remains, with the value 0, so that no graph continues with old values.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from edge.bridges.bounded_server import BoundedServer
from edge.client import Event, Gap
from edge.errors import BusError, MissingExtraError
from edge.messages import Health, Trigger

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, MetricsHandler
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise MissingExtraError("the Prometheus bridge", "prometheus") from missing

MAX_CAMERAS, MAX_RULES = 64, 1024  # with metrics; a false publisher may name any number
TOPICS: Final = ("health.", "trigger.")
# Buckets from the p95 of docs/BENCHMARKS.md (15 ms on x86-64) to a slow or throttled machine.
LATENCIES_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)

GAUGES = (  # name, help, value of a Health message
    ("uptime_seconds", "Time since the start of the daemon.", lambda h: h.uptime_s),
    ("frame_rate", "Frames analysed per second.", lambda h: h.fps),
    ("invocation_rate", "Invocations of the model per second.", lambda h: h.invocations_per_s),
    ("inference_seconds", "Mean duration of an invocation.", lambda h: h.inference_ms / 1000),
    ("tracks", "Open tracks.", lambda h: h.tracks),
    ("resident_memory_bytes", "Resident memory of the daemon.", lambda h: h.rss_bytes),
    ("temperature_celsius", "Temperature of the SoC.", lambda h: h.temperature_c),
    ("disk_free_bytes", "Free space of the disk with the captures.", lambda h: h.disk_free_bytes),
    ("problems", "Present problems.", lambda h: len(h.problems)),
    ("paused", "1 while the analysis is paused.", lambda h: h.paused),
    ("governor_level", "Reduction of work for heat or power; 0 = none.",
     lambda h: h.governor_level),
)  # fmt: skip
COUNTERS = (
    ("frames", "Frames analysed.", lambda h: h.frames),
    ("invocations", "Invocations of the model.", lambda h: h.invocations),
    ("triggers", "Triggers of all rules.", lambda h: h.triggers),
    ("captures", "Files written.", lambda h: h.captures),
    (
        "source_restarts",
        "Times the source was opened again.",
        lambda h: h.source_restarts,
    ),
)


class Metrics(Collector):
    """Metrics of all cameras. One thread calls `note` and `note_gap`, the server's `collect`."""

    def __init__(self, patience_s: float) -> None:
        """patience_s: time without a health message after which a camera is down."""
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._health: dict[str, tuple[Health, float]] = {}
        self._known: set[tuple[str, str]] = set()  # cameras and rules with metrics
        self.registry = CollectorRegistry()
        self.registry.register(self)
        rule = ("camera", "rule")
        self._rules = Counter(
            "edge_rule_triggers",
            "Triggers of a rule since the start of the bridge.",
            rule,
            registry=self.registry,
        )
        self._latency = Histogram(
            "edge_trigger_latency_seconds",
            "From the exposure of the frame to the publication of the trigger.",
            rule,
            buckets=LATENCIES_S,
            registry=self.registry,
        )
        self._last = Gauge(
            "edge_last_trigger_timestamp_seconds",
            "Unix time of a rule's last trigger.",
            rule,
            registry=self.registry,
        )
        self._missing = Counter(
            "edge_messages_missing",
            "Messages that were published and not received by the bridge.",
            registry=self.registry,
        )

    def note(self, event: Event) -> None:
        message = event.message
        assert message.header is not None
        camera = message.header.camera
        match message:
            case Health():
                stopping = message.state == "stopping"
                valid_until_s = time.monotonic() + (0.0 if stopping else self._patience_s)
                with self._lock:
                    if camera in self._health or len(self._health) < MAX_CAMERAS:
                        self._health[camera] = message, valid_until_s
            case Trigger() if self._counts(camera, message.rule):
                self._rules.labels(camera, message.rule).inc()
                self._latency.labels(camera, message.rule).observe(message.latency_ms / 1000)
                with suppress(OverflowError, ValueError, OSError):  # a year that no clock has
                    exposed_s = message.header.wall_time.timestamp()
                    self._last.labels(camera, message.rule).set(exposed_s)

    def _counts(self, camera: str, rule: str) -> bool:
        """Whether this rule has its own metrics; the first ones have."""
        if len(self._known) < MAX_RULES:
            self._known.add((camera, rule))
        return (camera, rule) in self._known

    def note_gap(self, gap: Gap) -> None:
        self._missing.inc(gap.missing)

    def collect(self) -> Iterator[Any]:
        with self._lock:
            last = dict(self._health)
        now_s = time.monotonic()
        up = GaugeMetricFamily(
            "edge_up", "1 while the daemon sends health messages.", labels=["camera"]
        )
        alive: dict[str, Health] = {}
        for camera, (health, valid_until_s) in last.items():
            if now_s < valid_until_s:
                alive[camera] = health
            up.add_metric([camera], camera in alive)
        yield up
        yield from _families(alive)

    def serve(self, host: str, port: int) -> None:
        """Starts the server's threads. Raises BusError if the address can't be used."""
        try:
            server = BoundedServer((host, port), MetricsHandler.factory(self.registry))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BusError(f"metrics can't be served at {host}:{port}: {reason}") from error
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _families(alive: dict[str, Health]) -> Iterator[Any]:
    info = GaugeMetricFamily(
        "edge_info", "Source and model of a camera.", labels=["camera", "source", "model"]
    )
    dropped = CounterMetricFamily(
        "edge_dropped", "Items that a full queue dropped.", labels=["camera", "queue"]
    )
    for camera, health in alive.items():
        info.add_metric([camera, health.source, health.model], 1)
        for queue, count in health.dropped.items():
            dropped.add_metric([camera, queue], count)
    yield info
    yield dropped
    kinds = ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS))
    for kind, table in kinds:
        for name, about, value in table:
            family = kind(f"edge_{name}", about, labels=["camera"])
            for camera, health in alive.items():
                if (number := value(health)) is not None:
                    family.add_metric([camera], number)
            yield family
