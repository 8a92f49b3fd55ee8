"""Simulates the bridges of many cameras at one broker: python -m tests.faults.fleet.

Each camera is the project's own bridge (Forwarder, Broker, Spool) with a connection and a spool
file of its own; only its daemon is replaced, by a list of messages. Many cameras share a process.
One process is killed (its connections are closed), another is stopped (its connections fall
silent, as after a power cut), and the broker is killed and started again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.bridges.forward import Forwarder
from edge.bridges.mqtt import Broker
from edge.bridges.spool import Spool
from edge.bridges.topics import Topics
from edge.client import Event, Subscriber
from edge.config.load import load
from edge.messages import Header, Health, Trigger
from tests.support.mosquitto import Mosquitto

HEALTH_S = 5.0  # between two health messages of a camera: the default of health.interval_s
JPEG = random.Random(1).randbytes(12_000)  # as large as the picture of a trigger
STEP_S = 0.2  # at most between two steps of a bridge
WAIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Load:
    """cameras: in all. processes: that share them. trigger_s: mean time between two of a camera."""

    cameras: int
    processes: int
    trigger_s: float
    seconds: float
    freeze: bool = True


class Feed:
    """In the place of a bridge's subscriber: the messages of a daemon that is not there."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._events: deque[Event] = deque()
        self._number = 0

    def receive(self, _timeout_s: float) -> Event | None:
        return self._events.popleft() if self._events else None

    def health(self) -> None:
        self._add(Health(
            header=self._header(), state="running", source="picamera2:0", model="person",
            uptime_s=1, fps=9.5, frames=1, invocations=1, invocations_per_s=1, inference_ms=90,
            tracks=0, triggers=0, captures=0, dropped={}, rss_bytes=140_000_000, temperature_c=55.0,
            disk_free_bytes=12_000_000_000, problems=(), paused=False,
        ))  # fmt: skip

    def trigger(self) -> None:
        header = self._header()
        self._add(Trigger(
            header=header, event_id=f"{self._camera}-{header.timestamp_ns}", rule="visitor",
            zones=("path",), track_id=1, label="person", score=0.9, box=(0, 0, 1, 1),
            box_px=(0, 0, 9, 9), frame_index=1, latency_ms=90.0, captures=(),
        ), JPEG)  # fmt: skip

    def _header(self) -> Header:
        self._number += 1
        return Header(
            camera=self._camera, boot_id="0123456789abcdef", sequence=self._number,
            topic_sequence=self._number, wall_time=datetime.now(UTC),
            timestamp_ns=time.monotonic_ns(),
        )  # fmt: skip

    def _add(self, message: Health | Trigger, jpeg: bytes | None = None) -> None:
        self._events.append(Event("", message, jpeg))


def bridges(names: list[str], port: int, folder: Path, load_: Load, active: Any, sent: Any) -> None:
    """Runs the bridges of `names`; they trigger while `active` is set. sent: counts triggers."""
    chance = random.Random(names[0])
    feeds, forwarders = [], []
    for name in names:
        settings = load(Path("/dev/null"), {
            "camera": name, "mqtt.port": port, "health.interval_s": HEALTH_S,
            "triggers": '[{name = "visitor"}]', "mqtt.scene_width_px": 0,  # which no daemon sends
        })  # fmt: skip
        broker = Broker(
            settings.mqtt, f"edge-{name}", Topics(settings.mqtt.prefix, name).availability
        )
        feeds.append(Feed(name))
        spool = Spool(folder / f"{name}.sqlite", 1_000_000)
        subscriber = cast(Subscriber, feeds[-1])
        forwarders.append(Forwarder(settings, subscriber, broker, spool, _no_control))
        forwarders[-1].start()
    health_due_s = [time.monotonic() + chance.uniform(0, HEALTH_S) for _ in names]
    while True:
        start_s = time.monotonic()
        for number, (feed, forwarder) in enumerate(zip(feeds, forwarders, strict=True)):
            if start_s >= health_due_s[number]:
                feed.health()
                health_due_s[number] += HEALTH_S
            if active.is_set() and chance.random() < STEP_S / load_.trigger_s:
                feed.trigger()
                with sent.get_lock():
                    sent.value += 1
            forwarder.step()
        time.sleep(max(0.0, STEP_S - (time.monotonic() - start_s)))


def _no_control() -> Any:
    raise AssertionError("nobody sends commands")


@dataclass
class Watcher:
    """A subscriber to the whole fleet, with a session that the broker keeps.

    states: the last availability of each camera, and when it came. delays_s: of triggers.
    """

    port: int
    states: dict[str, tuple[str, float]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    delays_s: list[float] = field(default_factory=list)
    twice: int = 0
    messages: int = 0

    def start(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, "watcher", clean_session=False)
        client.reconnect_delay_set(1, 1)
        ready = threading.Event()
        client.on_connect = lambda client, *_: client.subscribe("edge/#", qos=1)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._on_message
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert ready.wait(10)

    def count(self, state: str, names: Iterable[str], after_s: float = 0.0) -> int:
        """Cameras of `names` that are in a state since `after_s` or later."""
        found = (self.states.get(name, ("", 0.0)) for name in names)
        return sum(is_state == state and at_s >= after_s for is_state, at_s in found)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.messages += 1
        _, camera, kind, *_ = message.topic.split("/")
        now_s = time.monotonic()
        if kind == "availability":
            self.states[camera] = message.payload.decode(), now_s
        elif kind == "trigger":
            event_id = json.loads(message.payload)["event_id"]
            self.twice += event_id in self.ids
            self.ids.add(event_id)
            self.delays_s.append(now_s - int(event_id.rpartition("-")[2]) / 1e9)


class Usage:
    """CPU and memory of a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._start_s, self._start_cpu_s = pid, time.monotonic(), cpu_s(pid)

    def __str__(self) -> str:
        share = (cpu_s(self._pid) - self._start_cpu_s) / (time.monotonic() - self._start_s)
        status = Path(f"/proc/{self._pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0]) / 1000
        return f"{share:.1%} of a core, {resident:.0f} MB"


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(condition: Callable[[], object]) -> float:
    """Waits for a condition; returns the time that it took, in seconds."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < WAIT_S, "not reached"
        time.sleep(0.05)
    return time.monotonic() - start_s


def simulate(load_: Load, say: Callable[[str], None] = print) -> Watcher:
    """Runs the whole simulation; fails if a trigger is lost or a dead camera is not noticed."""
    names = [f"cam{number:06}" for number in range(load_.cameras)]
    groups = [names[start :: load_.processes] for start in range(load_.processes)]
    spawn = multiprocessing.get_context("spawn")
    active, sent = spawn.Event(), spawn.Value("i", 0)
    with tempfile.TemporaryDirectory() as folder:
        mosquitto = Mosquitto(Path(folder, "broker"))
        mosquitto.start()
        watcher = Watcher(mosquitto.port)
        watcher.start()
        workers = [
            spawn.Process(
                target=bridges, daemon=True,
                args=(group, mosquitto.port, Path(folder), load_, active, sent),
            )
            for group in groups
        ]  # fmt: skip
        try:
            for worker in workers:
                worker.start()
            _steady(load_, names, mosquitto, watcher, active, sent, say)
            _deaths(load_, groups, workers, watcher, say)
            alive = [name for group in groups[1 + load_.freeze :] for name in group]
            assert watcher.count("offline", alive) == 0
            _restart(alive, mosquitto, watcher, say)
        finally:
            for worker in workers:
                worker.kill()
            mosquitto.kill()
    return watcher


def _steady(
    load_: Load, names: list[str], mosquitto: Mosquitto, watcher: Watcher, active: Any, sent: Any,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    took_s = until(lambda: watcher.count("online", names) == len(names))
    say(f"{len(names)} cameras online {took_s:.1f} s after the start of their processes")
    usage, before = Usage(mosquitto.pid), watcher.messages
    active.set()
    time.sleep(load_.seconds)
    active.clear()
    say(f"broker: {usage}; {(watcher.messages - before) / load_.seconds:.0f} messages a second out")
    until(lambda: len(watcher.ids) == sent.value)
    delays = sorted(watcher.delays_s)
    say(
        f"triggers: {sent.value} sent, {len(watcher.ids)} received, {watcher.twice} twice; delay "
        f"median {1000 * delays[len(delays) // 2]:.0f} ms, longest {1000 * delays[-1]:.0f} ms"
    )


def _deaths(
    load_: Load, groups: list[list[str]], workers: list[Any], watcher: Watcher,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    start_s = time.monotonic()
    os.kill(workers[0].pid, signal.SIGKILL)
    if load_.freeze:
        os.kill(workers[1].pid, signal.SIGSTOP)
    for kind, group in zip(("closed", "silent"), groups, strict=False):
        if kind == "closed" or load_.freeze:
            until(partial(_all_offline, watcher, group, start_s))
            times_s = sorted(watcher.states[name][1] - start_s for name in group)
            say(f"{len(group)} dead, connection {kind}: noticed {times_s[0]:.1f} to "
                f"{times_s[-1]:.1f} s later")  # fmt: skip


def _all_offline(watcher: Watcher, group: list[str], after_s: float) -> bool:
    return watcher.count("offline", group, after_s) == len(group)


def _restart(
    alive: list[str], mosquitto: Mosquitto, watcher: Watcher, say: Callable[[str], None]
) -> None:
    mosquitto.kill()
    time.sleep(2)
    start_s = time.monotonic()
    mosquitto.start()
    took_s = until(lambda: watcher.count("online", alive, start_s) == len(alive))
    say(f"broker killed: {len(alive)} cameras online again {took_s:.1f} s after its start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--trigger-s", type=float, default=120.0, help="of each camera, mean")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady part")
    arguments = parser.parse_args()
    simulate(
        Load(arguments.cameras, arguments.processes, arguments.trigger_s, arguments.seconds),
        lambda text: print(text, flush=True),
    )


if __name__ == "__main__":
    main()
