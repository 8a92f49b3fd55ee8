"""Pictures at fixed times, whatever the camera sees."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.config.schema.base import MomentText, Name, Section, TimeSpan, about
from edge.messages import CaptureKind

DAY_MIN = 24 * 60


class Timelapse(Section, frozen=True):
    """A series of captures at fixed times, also as a daily proof that the camera works."""

    name: Annotated[Name, about("name of the series, in the place of a rule's name")]
    every_min: Annotated[
        float,
        Meta(ge=0.1, le=DAY_MIN),
        about("minutes between two captures, counted from midnight"),
    ] = 60.0
    at: Annotated[
        tuple[MomentText, ...],
        Meta(max_length=100),
        about(
            "times of captures by the clock or the sun, instead of every_min",
            title="list of times, such as noon",
        ),
    ] = ()
    schedule: Annotated[
        tuple[TimeSpan, ...],
        Meta(max_length=100),
        about(
            "spans of the day to which the captures are limited; empty = the whole day",
            title="list of FROM-TO, such as sunrise-sunset",
        ),
    ] = ()
    actions: Annotated[
        tuple[CaptureKind, ...], Meta(min_length=1, max_length=2), about("kinds of the captures")
    ] = ("still",)
