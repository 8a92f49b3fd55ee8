"""`edge ctl`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.connected import commands
from edge.commands.mute import mute, muted, place_text, unmute
from edge.commands.options import FILE
from edge.runtime.printable import printable_lines

if TYPE_CHECKING:
    from edge.client import Control
    from edge.messages import CaptureKind, StatusReply


@click.group()
def ctl() -> None:
    """Control a running daemon."""


for command in (mute, muted, unmute):
    ctl.add_command(command)


@ctl.command()
@commands
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
def status(control: Control, as_json: bool) -> None:
    """Print the daemon's state."""
    import msgspec

    reply = control.status()
    click.echo(printable_lines(msgspec.json.encode(reply).decode() if as_json else _as_text(reply)))


@ctl.command()
@commands
@click.option("--still", is_flag=True, help="Capture a picture. This is the default.")
@click.option("--clip", is_flag=True, help="Capture a video with its pre-roll.")
def capture(control: Control, still: bool, clip: bool) -> None:
    """Capture now. A capture message is published for each file, as for a trigger."""
    kinds: list[CaptureKind] = ["clip"] if clip else []
    if still or not clip:
        kinds.insert(0, "still")
    reply = control.capture(*kinds)
    click.echo(f"capturing {' and '.join(reply.captures)}, event {reply.event_id}")


@ctl.command()
@commands
@click.option("--for", "duration_s", type=float, metavar="S",
              help="Pause for S seconds. Default: until resume.")  # fmt: skip
def pause(control: Control, duration_s: float | None) -> None:
    """Pause the analysis, and with it detections and triggers. The camera keeps running."""
    click.echo(printable_lines(control.pause(duration_s).text))


@ctl.command()
@commands
def resume(control: Control) -> None:
    """End a pause."""
    click.echo(printable_lines(control.resume().text))


@ctl.command()
@commands
def reload(control: Control) -> None:
    """Read the configuration again. An invalid one is refused and changes nothing."""
    click.echo(printable_lines(control.reload().text))


@ctl.command()
@commands
@click.argument("file", type=FILE)
@click.option("--width", type=click.IntRange(64, 8192), default=1280, show_default=True,
              help="Largest width in pixels.")  # fmt: skip
def snapshot(control: Control, file: Path, width: int) -> None:
    """Write the present picture to FILE as a JPEG. Give - for standard output."""
    from edge.errors import PermanentError

    reply, jpeg = control.snapshot(width)
    if str(file) == "-":
        sys.stdout.buffer.write(jpeg)
        return
    try:
        file.write_bytes(jpeg)
    except OSError as error:
        raise PermanentError(f"can't write {file}: {error.strerror}") from error
    click.echo(f"{file}: {reply.width}x{reply.height}, taken {reply.wall_time.astimezone():%c}")


def _as_text(reply: StatusReply) -> str:
    lines = [f"{reply.camera}: {'paused' if reply.paused else 'watching'}"]
    if (health := reply.health) is not None:
        dropped = ", ".join(f"{count} {queue}" for queue, count in health.dropped.items() if count)
        lines += [
            f"  {health.state} for {health.uptime_s:.0f} s, {health.source}, model {health.model}",
            f"  {health.fps:.1f} fps, {health.invocations_per_s:.1f} invocations/s, "
            f"{health.inference_ms:.0f} ms each",
            f"  {health.tracks} tracks, {health.triggers} triggers, {health.captures} captures",
            f"  dropped: {dropped or 'nothing'}",
        ]
        lines += [f"  {place_text(place)}" for place in health.places]
        lines += [f"  problem: {problem}" for problem in health.problems]
    return "\n".join(lines)
