"""Health, triggers and counts as Prometheus metrics, at http://HOST:PORT/metrics.

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
from edge.messages import Crossing, Health, Presence, Stay, Trigger

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, MetricsHandler
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise MissingExtraError("the Prometheus bridge", "prometheus") from missing

MAX_CAMERAS, MAX_NAMES = 64, 1024  # with metrics; a false publisher may name any number
TOPICS: Final = ("health.", "trigger.", "count.", "stay.", "presence.")
# Buckets from the p95 of docs/BENCHMARKS.md (15 ms on x86-64) to a slow or throttled machine.
LATENCIES_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
STAYS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)  # from somebody who passes to a long visit

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
    ("muted", "Objects that a muted place has silenced.", lambda h: h.muted),
)


class Metrics(Collector):
    """Metrics of all cameras. One thread calls `note` and `note_gap`, the server's `collect`."""

    def __init__(self, patience_s: float) -> None:
        """patience_s: time without a health message after which a camera is down."""
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._health: dict[str, tuple[Health, float]] = {}
        self._presence: dict[str, Presence] = {}
        self._known: set[tuple[str, str, str]] = set()  # cameras, kinds and names with metrics
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._triggers = _Triggers(self.registry)
        self._crossings = Counter(
            "edge_line_crossings",
            "Objects that crossed a line since the start of the bridge.",
            ("camera", "line", "direction"),
            registry=self.registry,
        )
        self._stays = Histogram(
            "edge_zone_stay_seconds",
            "Time of an object in a zone.",
            ("camera", "zone"),
            buckets=STAYS_S,
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
                self._note_health(camera, message)
            case Presence():
                self._note_presence(camera, message)
            case Trigger() if self._counts(camera, "rule", message.rule):
                self._triggers.note(camera, message)
            case Crossing() if self._counts(camera, "line", message.line):
                self._crossings.labels(camera, message.line, message.direction).inc()
            case Stay() if self._counts(camera, "zone", message.zone):
                self._stays.labels(camera, message.zone).observe(message.duration_s)

    def _note_health(self, camera: str, message: Health) -> None:
        stopping = message.state == "stopping"
        valid_until_s = time.monotonic() + (0.0 if stopping else self._patience_s)
        with self._lock:
            if camera in self._health or len(self._health) < MAX_CAMERAS:
                self._health[camera] = message, valid_until_s

    def _note_presence(self, camera: str, message: Presence) -> None:
        """Counters begin at 0 as soon as their names are known, so that the first count shows."""
        with self._lock:
            if camera in self._presence or len(self._presence) < MAX_CAMERAS:
                self._presence[camera] = message
        for rule in message.rules:
            if self._counts(camera, "rule", rule):
                self._triggers.begin(camera, rule)
        for line in message.lines:
            if self._counts(camera, "line", line):
                for direction in ("in", "out"):
                    self._crossings.labels(camera, line, direction)
        for zone in message.zones:
            if self._counts(camera, "zone", zone):
                self._stays.labels(camera, zone)

    def _counts(self, camera: str, kind: str, name: str) -> bool:
        """Whether this rule, line or zone has its own metrics; the first ones have."""
        if len(self._known) < MAX_NAMES:
            self._known.add((camera, kind, name))
        return (camera, kind, name) in self._known

    def note_gap(self, gap: Gap) -> None:
        self._missing.inc(gap.missing)

    def collect(self) -> Iterator[Any]:
        with self._lock:
            last, presence = dict(self._health), dict(self._presence)
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
        yield from _objects({name: one for name, one in presence.items() if name in alive})

    def serve(self, host: str, port: int) -> None:
        """Starts the server's threads. Raises BusError if the address can't be used."""
        try:
            server = BoundedServer((host, port), MetricsHandler.factory(self.registry))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BusError(f"metrics can't be served at {host}:{port}: {reason}") from error
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Triggers:
    """The metrics of triggers, by camera and rule."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("camera", "rule")
        self._number = Counter(
            "edge_rule_triggers",
            "Triggers of a rule since the start of the bridge.",
            labels,
            registry=registry,
        )
        self._latency = Histogram(
            "edge_trigger_latency_seconds",
            "From the exposure of the frame to the publication of the trigger.",
            labels,
            buckets=LATENCIES_S,
            registry=registry,
        )
        self._last = Gauge(
            "edge_last_trigger_timestamp_seconds",
            "Unix time of a rule's last trigger.",
            labels,
            registry=registry,
        )

    def begin(self, camera: str, rule: str) -> None:
        self._number.labels(camera, rule)

    def note(self, camera: str, message: Trigger) -> None:
        assert message.header is not None
        self._number.labels(camera, message.rule).inc()
        self._latency.labels(camera, message.rule).observe(message.latency_ms / 1000)
        with suppress(OverflowError, ValueError, OSError):  # a year that no clock has
            exposed_s = message.header.wall_time.timestamp()
            self._last.labels(camera, message.rule).set(exposed_s)


def _objects(present: dict[str, Presence]) -> Iterator[Any]:
    """The number of objects that meet each rule and are in each zone now."""
    rules = GaugeMetricFamily(
        "edge_rule_objects", "Objects that meet a rule now.", labels=["camera", "rule"]
    )
    zones = GaugeMetricFamily(
        "edge_zone_objects", "Objects in a zone now.", labels=["camera", "zone"]
    )
    for camera, presence in present.items():
        for rule, number in list(presence.rules.items())[:MAX_NAMES]:
            rules.add_metric([camera, rule], number)
        for zone, state in list(presence.zones.items())[:MAX_NAMES]:
            zones.add_metric([camera, zone], state.objects)
    yield rules
    yield zones


def _families(alive: dict[str, Health]) -> Iterator[Any]:
    info = GaugeMetricFamily(
        "edge_info",
        "Source, model and program version of a camera.",
        labels=["camera", "source", "model", "version"],
    )
    dropped = CounterMetricFamily(
        "edge_dropped", "Items that a full queue dropped.", labels=["camera", "queue"]
    )
    for camera, health in alive.items():
        info.add_metric([camera, health.source, health.model, health.version], 1)
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
