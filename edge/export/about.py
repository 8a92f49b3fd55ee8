"""The description of a study (people, places, methods), read from a TOML file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from edge.errors import ConfigError
from edge.export.taxa import Taxon
from edge.runtime.files import read_regular

MAX_BYTES: Final = 4 << 20  # a file that a person writes
YEARS: Final = range(1900, 2201)

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Position: TypeAlias = tuple[Latitude, Longitude]
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

    What is absent comes from the site in the sidecars. start, end: with time zone; by default the
    times of the first and the last capture.
    """

    latitude: Latitude | None = None
    longitude: Longitude | None = None
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

    @property
    def position(self) -> Position | None:
        """(latitude, longitude) in degrees, if it is given."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude


class About(_Table, frozen=True):
    """The whole file.

    deployments: by id of the deployment, or by name of the camera. labels: taxa by the model's
    labels.
    """

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
        if problem := _problem(deployment):
            raise ConfigError(f"{path}: deployments.{name}: {problem}")
    return about


def _problem(deployment: Deployment) -> str:
    """A sentence about values that can't be true together; empty without one."""
    if (deployment.latitude is None) != (deployment.longitude is None):
        return "give latitude and longitude, or neither"
    for time in (deployment.start, deployment.end):
        if time is not None and time.year not in YEARS:
            return f"the year {time.year} is not from {YEARS[0]} to {YEARS[-1]}"
    start, end = deployment.start, deployment.end
    if start is not None and end is not None and end <= start:
        return f"its end, {end.isoformat()}, is not after its start, {start.isoformat()}"
    return ""


def with_locations(about: About, texts: Iterable[str]) -> About:
    """Adds locations `CAMERA=LATITUDE,LONGITUDE` of the command line.

    Raises ConfigError for another form, and for a second location of a camera.
    """
    deployments = dict(about.deployments)
    for text in texts:
        camera, (latitude, longitude) = _location(text)
        known = deployments.get(camera, Deployment())
        if known.position not in (None, (latitude, longitude)):
            raise ConfigError(
                f"--location {text}: camera {camera} has another location already, "
                f"{shown(known.position)}; give one of them"
            )
        deployments[camera] = replace(known, latitude=latitude, longitude=longitude)
    return replace(about, deployments=deployments)


def shown(position: Position | None) -> str:
    """A position as `--location` takes it."""
    return "none" if position is None else f"{position[0]:g},{position[1]:g}"


def _location(text: str) -> tuple[str, Position]:
    camera, _, rest = text.partition("=")
    try:
        latitude, longitude = map(float, rest.split(","))
        return camera, msgspec.convert((latitude, longitude), Position)
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"--location {text}: write CAMERA=LATITUDE,LONGITUDE in degrees, such as "
            "cam0=52.37403,4.88969"
        ) from error
