"""The sections of health and heat."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.config.schema.base import Seconds, Section, about


class HealthSettings(Section, frozen=True):
    """Health messages, and how long a fault may last."""

    interval_s: Annotated[
        float, Meta(ge=0.1, le=3600), about("time between two health messages")
    ] = 5.0
    stall_s: Annotated[
        float,
        Meta(ge=0.1, le=3600),
        about("longest pause; after it a source is reopened, and a stalled stage is reported"),
    ] = 5.0
    hang_s: Annotated[
        float,
        Meta(ge=0.1, le=86_400),
        about("end the daemon when a stage makes no progress for this long"),
    ] = 30.0
    picture_s: Annotated[
        Seconds,
        about("report a picture that is black, blocked or blurred for this long; 0 = never"),
    ] = 10.0
    frozen_s: Annotated[
        Seconds,
        about("reopen a live source whose picture stays identical for this long; 0 = never"),
    ] = 20.0


class GovernorSettings(Section, frozen=True):
    """Less work, step by step, when the SoC is hot or its power supply is weak."""

    hot_c: Annotated[
        float,
        Meta(ge=0, le=120),
        about("SoC temperature at which the daemon begins to reduce its work; 0 = never"),
    ] = 75.0
    step_c: Annotated[
        float,
        Meta(ge=0.1, le=40),
        about("further rise of temperature that reduces the work again"),
    ] = 2.5
    hysteresis_c: Annotated[
        float,
        Meta(ge=0, le=40),
        about("how far below its threshold the SoC must cool before a reduction is undone"),
    ] = 3.0
    calm_s: Annotated[
        Seconds, about("how long the SoC must stay that cool before a reduction is undone")
    ] = 30.0
