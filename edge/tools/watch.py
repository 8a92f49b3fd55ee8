"""`edge watch`: a daemon's messages as text for a person or as JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
from rich.text import Text

from edge.client import Event, Subscriber
from edge.messages import (
    AnyMessage,
    Capture,
    Crossing,
    DetectedObject,
    Detection,
    Health,
    Presence,
    Stay,
    Track,
    Trigger,
)
from edge.runtime.printable import printable


def events(
    subscriber: Subscriber, *, count: int | None, until_stopped: bool, timeout_s: float | None
) -> Iterator[Event]:
    """Events until `count` have come, the daemon stops, or none has come for `timeout_s`."""
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
    return printable(msgspec.json.encode(extra | body).decode())


def as_text(event: Event) -> Text:
    """One line for a person. Markup and control characters in a message are shown as they are."""
    message = event.message
    assert message.header is not None
    local = _local(message.header.wall_time)
    style, text = _styled(message)
    line = Text()
    line.append(f"{local} {printable(message.header.camera)} ", "dim")
    line.append(printable(text), style)
    for problem in message.problems if isinstance(message, Health) else ():
        line.append("; ").append(printable(problem), "red")
    return line


def _local(time: datetime) -> str:
    try:
        return time.astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (OverflowError, ValueError, OSError):  # a year that no local time has
        return time.isoformat()


def _styled(message: AnyMessage) -> tuple[str, str]:
    """The style for rich (empty for none) and the text."""
    match message:
        case Detection():
            objects = ", ".join(f"{_name(d)} {d.score:.2f}" for d in message.detections)
            return "", f"detection {message.invocations} invocation(s): {objects or 'nothing'}"
        case Track():
            track = f"{_name(message)} #{message.track_id} {message.score:.2f} {message.state}"
            return "", f"track     {message.change} {track}"
        case Trigger():
            track = f"{_name(message)} #{message.track_id} {message.score:.2f}"
            zones = f" in {', '.join(message.zones)}" if message.zones else ""
            latency = f"after {message.latency_ms:.0f} ms"
            return "bold green", f"trigger   {message.rule}: {track}{zones}, {latency}"
        case Capture() if message.failure:
            return "red", f"capture   {message.capture} of {message.rule}: {message.failure}"
        case Capture():
            length = f", {message.duration_s:.1f} s" if message.duration_s else ""
            return "cyan", f"capture   {message.path} ({message.size_bytes / 1e6:.2f} MB{length})"
        case Crossing():
            track = f"{message.label} #{message.track_id}"
            today = f"today {message.today_in} in, {message.today_out} out"
            return "bold", f"count     {message.line}: {track} {message.direction}, {today}"
        case Stay():
            track = f"{message.label} #{message.track_id}"
            return "", f"stay      {message.zone}: {track} for {message.duration_s:.1f} s"
        case Presence():
            rules = ", ".join(f"{number} {rule}" for rule, number in message.rules.items())
            zones = ", ".join(f"{zone.objects} in {name}" for name, zone in message.zones.items())
            return "dim", f"presence  {'; '.join(filter(None, (rules, zones))) or 'no rules'}"
        case Health():
            rate = f"{message.fps:.1f} fps, {message.invocations_per_s:.1f} invocations/s"
            return "dim", f"health    {message.state}, {rate}, {message.tracks} tracks"


def _name(of: DetectedObject | Track | Trigger) -> str:
    """The label, with its group if that says more: `sheep (animal)`."""
    return f"{of.label} ({of.group})" if of.group not in ("", of.label) else of.label
