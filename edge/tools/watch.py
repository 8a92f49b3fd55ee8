"""`edge watch`: the events of a daemon, for a person or for a pipe."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edge.client import Event, Subscriber
from edge.messages import Capture, Detection, Health, Track, Trigger


def events(
    subscriber: Subscriber, *, count: int | None, until_stopped: bool, timeout_s: float | None
) -> Iterator[Event]:
    """Events until `count` came, the daemon said that it stops, or none came for `timeout_s`."""
    received = 0
    while count is None or received < count:
        event = subscriber.receive(timeout_s)
        if event is None:
            return
        received += 1
        yield event
        message = event.message
        if until_stopped and isinstance(message, Health) and message.state == "stopping":
            return


def as_json(event: Event) -> str:
    """One line: the message as published, with its topic and the size of its picture."""
    body = msgspec.to_builtins(event.message)
    extra = {"topic": event.topic, "jpeg_bytes": len(event.jpeg or b"")}
    return msgspec.json.encode(extra | body).decode()


def as_text(event: Event) -> str:
    """One line for a person, in rich markup."""
    message = event.message
    assert message.header is not None
    local = message.header.wall_time.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"[dim]{local} {message.header.camera}[/] {_told(message)}"


def _told(message: Detection | Track | Trigger | Capture | Health) -> str:
    match message:
        case Detection():
            found = ", ".join(f"{d.label} {d.score:.2f}" for d in message.detections) or "nothing"
            return f"look      {message.invocations} invocation(s): {found}"
        case Track():
            what = f"{message.label} #{message.track_id} {message.score:.2f} {message.state}"
            return f"track     {message.change} {what}"
        case Trigger():
            what = f"{message.label} #{message.track_id} {message.score:.2f}"
            where = f" in {', '.join(message.zones)}" if message.zones else ""
            late = f"after {message.latency_ms:.0f} ms"
            return f"[bold green]trigger   {message.rule}: {what}{where}, {late}[/]"
        case Capture():
            length = f", {message.duration_s:.1f} s" if message.duration_s else ""
            return f"[cyan]capture   {message.path} ({message.size_bytes / 1e6:.2f} MB{length})[/]"
        case Health():
            rate = f"{message.fps:.1f} fps, {message.invocations_per_s:.1f} invocations/s"
            problems = "".join(f"; [red]{problem}[/]" for problem in message.problems)
            return f"[dim]health    {message.state}, {rate}, {message.tracks} tracks[/]{problems}"
