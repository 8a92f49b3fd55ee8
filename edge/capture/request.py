"""Requests to the recorder, and the results and failures that it reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from edge.messages import CaptureKind
from edge.vision.types import Frame

# A rule, a series of pictures, or a person or another program.
Method: TypeAlias = Literal["motion", "timelapse", "command"]


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """The object of an event, as its sidecar describes it.

    box_xyxy_px: pixels of the main picture. box_xyxy: the same box in 0..1. group: of the label.
    """

    id: int
    label: str
    score: float
    box_xyxy_px: tuple[float, float, float, float]
    box_xyxy: tuple[float, float, float, float]
    group: str = ""


@dataclass(slots=True)
class Presence:
    """The time until which the object of an event was in view, for a clip that lasts as long.

    One thread writes it while others read it: the time first, and `ended` once it is final.
    """

    until_ns: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """An event that requests captures.

    event_id: unique among the requests to a recorder.
    timestamp_ns: of the frame that triggered, on the clock of `Frame.timestamp_ns`.
    wall_ns: Unix time of the same instant; it names the files.
    still: the frame to keep, already detached from the camera; None without the action "still".
    track: None for a capture that no track triggered.
    method: what made it.
    zones: names of all zones in which the object stood.
    latency_ms: from exposure to the event.
    presence: if the clip is to last until the object is gone.
    follows: further stills come with a `LaterStill` each.
    """

    event_id: str
    rule: str
    camera: str
    wall_ns: int
    timestamp_ns: int
    actions: tuple[CaptureKind, ...]
    still: Frame | None = None
    track: TrackInfo | None = None
    zones: tuple[str, ...] = ()
    latency_ms: float = 0.0
    method: Method = "motion"
    presence: Presence | None = None
    follows: bool = False


@dataclass(frozen=True, slots=True)
class LaterStill:
    """A still of an event whose request said that stills follow.

    frame: already detached from the camera; None if there is none. track: the object where it is in
    this frame; None if it is not in view. last: no other follows.
    """

    event_id: str
    frame: Frame | None
    track: TrackInfo | None = None
    last: bool = True


@dataclass(frozen=True, slots=True)
class CaptureResult:
    """One finished file.

    wall_ns: Unix time of the still, or of the clip's first frame.
    event_ids: all events that the file belongs to, that of `rule` first.
    duration_s, frames: of a clip; 0 and 1 for a still.
    further: whether the event had a still before this one.
    """

    kind: CaptureKind
    camera: str
    rule: str
    event_ids: tuple[str, ...]
    path: Path
    sidecar: Path
    bytes: int
    wall_ns: int
    duration_s: float = 0.0
    frames: int = 1
    further: bool = False


@dataclass(frozen=True, slots=True)
class CaptureFailure:
    """A requested capture that failed.

    event_ids: all events that requested it, that of `rule` first. reason: one sentence.
    wall_ns: Unix time of the first of these events.
    """

    kind: CaptureKind
    camera: str
    rule: str
    event_ids: tuple[str, ...]
    reason: str
    wall_ns: int
