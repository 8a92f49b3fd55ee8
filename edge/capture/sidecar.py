"""Writes the JSON beside each capture: the events that triggered it, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edge.capture.disk import capturing, write
from edge.capture.naming import local_time
from edge.capture.request import CaptureRequest
from edge.messages import CaptureKind

WRITER: Final = "edge-trigger"


class TrackEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object. box_xyxy_px: pixels of the main picture; box_xyxy: the same box in 0..1.

    group: of the label, for example animal; absent if it has none.
    """

    id: int
    label: str
    score: float
    box_xyxy_px: tuple[float, float, float, float]
    box_xyxy: tuple[float, float, float, float]
    group: str = ""


class EventEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event. time: of exposure, ISO 8601 with zone. latency_ms: from exposure to event."""

    event_id: str
    rule: str
    time: str
    latency_ms: float
    track: TrackEntry | None = None


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file. time: of the still, or of the clip's first frame, ISO 8601 with zone."""

    name: str
    kind: CaptureKind
    bytes: int
    width: int
    height: int
    time: str
    duration_s: float | None = None
    frames: int | None = None


class Sidecar(msgspec.Struct, kw_only=True):
    """The contents of a sidecar. events: the first named the group, the others joined it."""

    written_by: str = WRITER
    schema_version: int = 1
    camera: str
    model: str
    events: list[EventEntry]
    files: list[FileEntry] = msgspec.field(default_factory=list)

    def write(self, path: Path) -> int:
        """Writes or replaces the file; returns its size in bytes. Raises CaptureError."""
        data = msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
        write(path, data, replace=True)
        return len(data)


def read_sidecar(path: Path) -> Sidecar | None:
    """None for a file that edge did not write. Raises CaptureError if it can't be read."""
    with capturing(path, "read"):
        data = path.read_bytes()
    try:
        sidecar = msgspec.json.decode(data, type=Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return sidecar if sidecar.written_by == WRITER else None


def event_entry(request: CaptureRequest) -> EventEntry:
    """The event of a request, rounded for people."""
    track = request.track
    return EventEntry(
        event_id=request.event_id,
        rule=request.rule,
        time=iso_time(request.wall_ns),
        latency_ms=round(request.latency_ms, 1),
        track=None
        if track is None
        else TrackEntry(
            id=track.id,
            label=track.label,
            group=track.group,
            score=round(track.score, 3),
            box_xyxy_px=_rounded(track.box_xyxy_px, 1),
            box_xyxy=_rounded(track.box_xyxy, 4),
        ),
    )


def iso_time(wall_ns: int) -> str:
    """ISO 8601 in local time with its zone, to the millisecond."""
    return local_time(wall_ns).isoformat(timespec="milliseconds")


def _rounded(
    box: tuple[float, float, float, float], digits: int
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(side), digits) for side in box)
    return x0, y0, x1, y1
