"""The deployments of cameras: where each was, from when to when, and what it captured there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge.errors import ConfigError
from edge.export.about import About, Deployment, Position, shown
from edge.export.groups import Group

_SHORTEST = timedelta(milliseconds=1)  # with a single still


@dataclass(frozen=True, slots=True)
class Placed:
    """A camera at one place. given: by the study's description; empty if it says nothing.

    position: (latitude, longitude) in degrees. groups: its captures, at least one.
    """

    id: str
    camera: str
    given: Deployment
    position: Position
    start: datetime
    end: datetime
    groups: tuple[Group, ...]


def deployments(groups: Sequence[Group], about: About) -> list[Placed]:
    """All deployments, in the order of their first groups.

    An id that several cameras have gets the camera's name added. Raises ConfigError if a position
    is unknown or there are two, and for a time span that does not hold the captures.
    """
    members: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        members.setdefault((group.camera, group.deployment), []).append(group)
    ids = [deployment for _, deployment in members]
    return [
        _placed(name if ids.count(name) == 1 else f"{name}/{camera}", camera, own, about)
        for (camera, name), own in members.items()
    ]


def _placed(id_: str, camera: str, groups: Sequence[Group], about: About) -> Placed:
    given = about.deployments.get(id_) or about.deployments.get(camera) or Deployment()
    first, last = min(group.start for group in groups), max(group.end for group in groups)
    start = given.start or first
    end = given.end or max(last, start + _SHORTEST)
    if first < start or last > end:
        outside = first if first < start else last
        raise ConfigError(
            f"deployment {id_}, from {start.isoformat()} to {end.isoformat()}, does not hold its "
            f"capture of {outside.isoformat()}; correct start and end in the file of --about, or "
            "choose captures with --since and --until"
        )
    return Placed(
        id_, camera, given, _position(id_, camera, given, groups), start, end, tuple(groups)
    )


def _position(id_: str, camera: str, given: Deployment, groups: Sequence[Group]) -> Position:
    """The given position, otherwise that in the sidecars."""
    if given.position is not None:
        return given.position
    found = {group.site.position: group.start for group in groups if group.site.position}
    places = [f"{shown(position)} at {time.isoformat()}" for position, time in found.items()]
    if not places:
        raise ConfigError(
            f"camera {camera} has no position: give --location {camera}=LATITUDE,LONGITUDE, or "
            f"[deployments.{camera}] in the file of --about; for captures to come, set "
            "site.latitude and site.longitude"
        )
    if len(places) > 1:
        raise ConfigError(
            f"camera {camera} has {len(places)} locations in the deployment {id_}: "
            f"{places[0]}, {places[1]}; export each by itself with --since and --until, or give "
            "the right one with --location; for captures to come, give each place an id of its own "
            "in site.deployment"
        )
    (position,) = found
    assert position is not None
    return position
