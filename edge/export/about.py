"""The description of a study (people, places, methods), read from a TOML file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.errors import ConfigError
from edge.export.taxa import Taxon
from edge.runtime.files import read_regular

MAX_BYTES: Final = 4 << 20  # a file that a person writes
YEARS: Final = range(1900, 2201)

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Moment = Annotated[datetime, Meta(tz=True)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's tables. An unknown key is an error."""


class Contributor(_Table, frozen=True):
    """A person or organization, with the terms of Camtrap DP."""

    title: str
    email: str | None = None
    organization: str | None = None
    role: Literal["contact", "principalInvestigator", "rightsHolder", "publisher",
                  "contributor"] = "contributor"  # fmt: skip


class Project(_Table, frozen=True):
    """The project, with the terms of Camtrap DP."""

    title: str = "Camera trapping with edge-trigger"
    description: str | None = None
    sampling_design: Literal["simpleRandom", "systematicRandom", "clusteredRandom", "experimental",
                             "targeted", "opportunistic"] = "opportunistic"  # fmt: skip


class Deployment(_Table, frozen=True):
    """The place of a camera, and the time it was there.

    start, end: with time zone; by default the times of the first and the last capture.
    """

    latitude: Latitude
    longitude: Longitude
    uncertainty_m: Annotated[int, Meta(ge=1, le=40_000_000)] | None = None
    location: str | None = None
    start: Moment | None = None
    end: Moment | None = None
    set_up_by: str | None = None
    camera_model: str | None = None
    height_m: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    heading_deg: Annotated[int, Meta(ge=0, le=360)] | None = None
    habitat: str | None = None
    comments: str | None = None


class About(_Table, frozen=True):
    """The whole file. deployments: by name of the camera. labels: taxa by the model's labels."""

    title: str | None = None
    data_license: str | None = None
    media_license: str | None = None
    contributors: tuple[Contributor, ...] = (Contributor(title="unknown"),)
    project: Project = Project()
    deployments: dict[str, Deployment] = {}
    labels: dict[str, Taxon] = {}


def read_about(path: Path) -> About:
    """Reads the file. Raises ConfigError if it is unreadable or has errors."""
    try:
        about = msgspec.toml.decode(read_regular(path, MAX_BYTES, follow_link=True), type=About)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # tomllib also raises RecursionError, for tables in tables
        raise ConfigError(f"{path}: {error}") from error
    for name, deployment in about.deployments.items():
        for time in (deployment.start, deployment.end):
            if time is not None and time.year not in YEARS:
                raise ConfigError(
                    f"{path}: deployments.{name}: the year {time.year} is not from {YEARS[0]} to "
                    f"{YEARS[-1]}"
                )
    return about


def location(text: str) -> tuple[str, Deployment]:
    """Reads `CAMERA=LATITUDE,LONGITUDE` of the command line. Raises ConfigError."""
    camera, _, rest = text.partition("=")
    try:
        latitude, longitude = map(float, rest.split(","))
        row = {"latitude": latitude, "longitude": longitude}
        return camera, msgspec.convert(row, Deployment)
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"--location {text}: write CAMERA=LATITUDE,LONGITUDE in degrees, such as "
            "cam0=52.37403,4.88969"
        ) from error
