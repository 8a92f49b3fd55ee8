"""Zones, the rules that make events, and the places where they make none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from edge.config.schema.base import (
    LOOKS_KEPT,
    MAX_CORNERS,
    MAX_ROWS,
    MAX_STILLS,
    MOTION_LABEL,
    NO_LINE,
    GpioLine,
    Name,
    PolygonPoints,
    Problem,
    Seconds,
    Section,
    Share,
    TimeSpan,
    about,
)
from edge.messages import CaptureKind


class Zone(Section, frozen=True):
    """A named polygon that rules refer to."""

    name: Annotated[Name, about("name to use in `zones` of a trigger")]
    polygon: Annotated[
        PolygonPoints,
        about(
            "corners as shares of the picture, x to the right and y down",
            title=f"polygon of 3 to {MAX_CORNERS} [x, y] with x and y from 0 to 1",
        ),
    ]


class Mute(Section, frozen=True):
    """A place that triggers nothing, for false alarms that return.

    It concerns an object that lies nearly wholly in the place for as long as it is tracked and does
    not move. One that comes in, goes out or walks within the place triggers.
    """

    box: Annotated[
        tuple[Share, Share, Share, Share],
        about(
            "left, top, right and bottom of the place as shares of the picture",
            title="list of four numbers from 0 to 1",
        ),
    ]
    labels: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        about("labels of the model, or groups of them, that are muted; empty = any"),
    ] = ()

    def problems(self) -> Iterator[Problem]:
        x0, y0, x1, y1 = self.box
        if not (x0 < x1 and y0 < y1):
            yield (
                "box",
                "it has no area; write left, top, right, bottom, with left < right and top < "
                "bottom",
            )


class TriggerRule(Section, frozen=True):
    """The conditions for an event, and its captures and other actions."""

    name: Annotated[Name, about("name of the rule in topics and file names")]
    labels: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        about(
            "labels, groups (animal, vehicle), or motion for objects without one; empty = any label"
        ),
    ] = ()
    unless: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        about("labels or groups that prevent events while in view and for 5 s after, as person"),
    ] = ()
    min_score: Annotated[Share, about("lowest score of a look that counts")] = 0.5
    zones: Annotated[
        tuple[str, ...],
        Meta(max_length=MAX_ROWS),
        about("zones in which the bottom centre of the box must be; empty = anywhere"),
    ] = ()
    confirm: Annotated[
        int,
        Meta(ge=1, le=LOOKS_KEPT),
        about("how many of the last `of_last` looks must meet the rule"),
    ] = 2
    of_last: Annotated[
        int, Meta(ge=1, le=LOOKS_KEPT), about("number of latest looks considered for `confirm`")
    ] = 3
    min_height: Annotated[Share, about("smallest height of the box, as a share of the picture")] = (
        0.0
    )
    max_height: Annotated[Share, about("largest height of the box, as a share of the picture")] = (
        1.0
    )
    min_duration_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        about("time for which an object must have been in the picture"),
    ] = 0.0
    moving_only: Annotated[bool, about("ignore tracks that have not moved yet")] = False
    cooldown_s: Annotated[Seconds, about("minimum time between two events of this rule")] = 10.0
    once_per_track: Annotated[bool, about("a track triggers this rule only once")] = True
    schedule: Annotated[
        tuple[TimeSpan, ...],
        Meta(max_length=100),
        about(
            "when the rule is active, also past midnight: sunset-30m - sunrise+1h; empty = always",
            title="list of FROM-TO, such as 20:00-sunrise",
        ),
    ] = ()
    actions: Annotated[
        tuple[CaptureKind, ...], Meta(max_length=2), about("captures that an event makes")
    ] = ("still", "clip")
    burst: Annotated[
        int,
        Meta(ge=1, le=MAX_STILLS),
        about("number of stills that an event makes"),
    ] = 1
    burst_interval_s: Annotated[
        float, Meta(ge=0.1, le=60), about("time from one still of a burst to the next")
    ] = 1.0
    best_still: Annotated[
        bool,
        about("once the object is gone, keep the best still of its visit, and not the first"),
    ] = False
    clip_until_end: Annotated[
        bool, about("clip as long as the object stays in view, up to capture.max_clip_s")
    ] = False
    exec: Annotated[
        tuple[str, ...],
        Meta(max_length=100),
        about("program and arguments to run on an event, without a shell; the event is its input"),
    ] = ()
    gpio: Annotated[GpioLine, about("GPIO line (BCM number) that an event pulses; -1 = none")] = (
        NO_LINE
    )
    gpio_pulse_s: Annotated[
        float, Meta(gt=0, le=3600), about("time for which the line is high")
    ] = 0.2

    @property
    def stills_follow(self) -> bool:
        """Whether stills are taken later than the event."""
        return "still" in self.actions and (self.best_still or self.burst > 1)

    def problems(self) -> Iterator[Problem]:
        if self.confirm > self.of_last:
            yield (
                "confirm",
                f"{self.confirm} exceeds of_last = {self.of_last}; lower it or raise of_last",
            )
        for label in self.unless:
            if label in (*self.labels, MOTION_LABEL):
                yield "unless", f"{label!r} can't prevent events of this rule; remove it"
        yield from self._problems_of_captures()
        if self.min_height > self.max_height:
            yield (
                "min_height",
                f"{self.min_height:g} exceeds max_height = {self.max_height:g}, so no object fits; "
                "lower it or raise max_height",
            )

    def _problems_of_captures(self) -> Iterator[Problem]:
        if self.burst > 1 and self.best_still:
            yield "burst", "best_still keeps a single still; remove one of the two"
        wanted: dict[str, tuple[bool, CaptureKind]] = {
            "burst": (self.burst > 1, "still"),
            "best_still": (self.best_still, "still"),
            "clip_until_end": (self.clip_until_end, "clip"),
        }
        for key, (is_set, kind) in wanted.items():
            if is_set and kind not in self.actions:
                yield key, f'it needs "{kind}" among the actions; add that or remove {key}'
