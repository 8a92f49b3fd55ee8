"""Camera Trap Data Package 1.0.2: deployments, media and observations, https://camtrap-dp.tdwg.org.

Events that share a clip become one Camtrap DP event, and every other event becomes one by itself.
Each object is an observation of its event. An object with a still is also an observation of the
still, with its box.
"""

from __future__ import annotations

import csv
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import __version__
from edge.capture.sidecar import EventEntry, TrackEntry, time_of
from edge.errors import ConfigError
from edge.export.about import About
from edge.export.deployments import Placed, deployments
from edge.export.folder import place, whole_folder
from edge.export.groups import Group, Medium
from edge.export.taxa import UNCLASSIFIED, Taxon, taxon_of

VERSION: Final = "1.0.2"
SPECIFICATION: Final = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
MEDIATYPES: Final = {"still": "image/jpeg", "clip": "video/mp4"}
BLANK: Final = Taxon(kind="blank")  # a false alarm
EXTENT_DIGITS: Final = 4  # decimal places, as in the boxes of sidecars

# Columns in the order of the specification, without those that are always empty here.
DEPLOYMENTS: Final = (
    "deploymentID", "locationName", "latitude", "longitude", "coordinateUncertainty",
    "deploymentStart", "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraHeight",
    "cameraHeading", "habitat", "deploymentComments",
)  # fmt: skip
MEDIA: Final = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName",
    "fileMediatype", "exifData",
)  # fmt: skip
OBSERVATIONS: Final = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd",
    "observationLevel", "observationType", "scientificName", "count", "bboxX", "bboxY",
    "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags",
)  # fmt: skip

Row = dict[str, object]


@dataclass(slots=True)
class Tables:
    """Rows with the specification's column names.

    taxa: by scientific name. files: path in the package to path on this machine. lost: paths in the
    package of files that were deleted during the export; no row has them.
    """

    deployments: list[Row] = field(default_factory=list)
    media: list[Row] = field(default_factory=list)
    observations: list[Row] = field(default_factory=list)
    taxa: dict[str, Taxon] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    lost: set[object] = field(default_factory=set)


def write_camtrap_dp(out: Path, groups: Iterable[Group], about: About) -> Tables:
    """Writes the package as a new folder `out`; on an error no folder remains.

    Media are hard links where the file system allows them. Raises ConfigError if the position of a
    camera is unknown, PermanentError if `out` exists, and FileError if writing fails.
    """
    tables = tables_of(list(groups), about)
    with whole_folder(out) as folder:
        tables.lost = {p for p, file in tables.files.items() if not place(file, folder / p)}
        tables.media = [row for row in tables.media if row["mediaID"] not in tables.lost]
        tables.observations = [
            row for row in tables.observations if row.get("mediaID") not in tables.lost
        ]
        _write(folder / "deployments.csv", DEPLOYMENTS, tables.deployments)
        _write(folder / "media.csv", MEDIA, tables.media)
        _write(folder / "observations.csv", OBSERVATIONS, tables.observations)
        package = msgspec.json.encode(descriptor(tables, about))
        (folder / "datapackage.json").write_bytes(msgspec.json.format(package, indent=2) + b"\n")
    return tables


def tables_of(groups: Sequence[Group], about: About) -> Tables:
    """All rows. Raises ConfigError if there are no captures, and as `deployments`."""
    if not groups:
        raise ConfigError("no capture matches --camera, --since and --until")
    tables = Tables()
    for placed in deployments(groups, about):
        tables.deployments.append(_deployment(placed))
        for group in placed.groups:
            _add(tables, group, placed.id, about)
    return tables


def descriptor(tables: Tables, about: About) -> dict[str, Any]:
    """The content of `datapackage.json`."""
    licenses = {"data": about.data_license, "media": about.media_license}
    package = {
        "resources": [_resource(name) for name in ("deployments", "media", "observations")],
        "profile": f"{SPECIFICATION}/camtrap-dp-profile.json",
        "id": str(uuid.uuid4()),
        "created": _instant(datetime.now(UTC)),
        "title": about.title,
        "contributors": [_filled(msgspec.to_builtins(person)) for person in about.contributors],
        "sources": [{"title": "edge-trigger", "version": __version__}],
        "licenses": [{"name": name, "scope": scope} for scope, name in licenses.items()]
        if all(licenses.values())
        else None,
        "project": _filled(
            {
                "title": about.project.title,
                "description": about.project.description,
                "samplingDesign": about.project.sampling_design,
                "captureMethod": _methods(tables.media),
                "individualAnimals": False,
                "observationLevel": ["media", "event"],
            }
        ),
        "spatial": _spatial(tables.deployments),
        "temporal": {
            "start": min(str(row["deploymentStart"]) for row in tables.deployments)[:10],
            "end": max(str(row["deploymentEnd"]) for row in tables.deployments)[:10],
        },
        "taxonomic": [
            _filled({"scientificName": name, "taxonRank": taxon.rank})
            for name, taxon in sorted(tables.taxa.items())
        ],
    }
    return _filled(package)


def _add(tables: Tables, group: Group, deployment: str, about: About) -> None:
    """Adds the media and observations of one Camtrap DP event."""
    place = {"deploymentID": deployment}
    tracks = group.tracks()
    taxa = {track.id: taxon_of(track.label, about.labels, track.group) for _, track in tracks}
    tables.taxa |= {taxon.scientific_name: taxon for taxon in taxa.values()
                    if taxon.scientific_name}  # fmt: skip
    public = all(taxon.kind != "human" for taxon in taxa.values())
    tables.media += [_medium(medium, public=public) | place for medium in group.media]
    tables.files |= {_package_path(medium): medium.path for medium in group.media}
    rows = []
    if not tracks:
        kind = BLANK if group.false_alarms else UNCLASSIFIED
        rows.append(_observation(group, kind, group.events[0], None))
    for event, track in tracks:
        rows.append(_observation(group, taxa[track.id], event, track))
    for still in group.stills():
        if (shown := group.track_on(still)) is not None:
            taxon = taxon_of(shown.label, about.labels, shown.group)
            row = _observation(group, taxon, still.event, shown)
            rows.append(row | _on_still(still, shown))
    tables.observations += [row | place for row in rows]


def _deployment(placed: Placed) -> Row:
    given, site = placed.given, placed.groups[-1].site
    height_m = site.camera_height_m if given.height_m is None else given.height_m
    return {
        "deploymentID": placed.id,
        "locationName": given.location or site.name or None,
        "latitude": placed.position[0],
        "longitude": placed.position[1],
        "coordinateUncertainty": given.uncertainty_m,
        "deploymentStart": _instant(placed.start),
        "deploymentEnd": _instant(placed.end, up=True),
        "setupBy": given.set_up_by or site.setup_by or None,
        "cameraID": placed.camera,
        "cameraModel": given.camera_model,
        "cameraHeight": height_m,
        "cameraHeading": given.heading_deg,
        "habitat": given.habitat,
        "deploymentComments": given.comments,
    }


def _medium(medium: Medium, *, public: bool) -> Row:
    return {
        "mediaID": _package_path(medium),
        "captureMethod": _method(medium.event),
        "timestamp": _instant(time_of(medium.file)),
        "filePath": _package_path(medium),
        "filePublic": public,
        "fileName": medium.path.name,
        "fileMediatype": MEDIATYPES[medium.file.kind],
        "exifData": _exif(medium) if medium.file.time_utc else None,
    }


def _method(event: EventEntry) -> str | None:
    """None for a capture on command, which the specification has no word for.

    Versions that did not write `method` captured without an object on command only.
    """
    if event.method == "timelapse":
        return "timeLapse"
    return "activityDetection" if event.method == "motion" and event.track is not None else None


def _methods(media: Iterable[Row]) -> list[str]:
    """Those of the media, for the project; it must name at least one."""
    return sorted({str(row["captureMethod"]) for row in media} - {"None"}) or ["activityDetection"]


def _exif(medium: Medium) -> str:
    """The time to the millisecond, which `timestamp` can't have, as JSON with exiftool's names.

    Files of versions without `time_utc` have no metadata.
    """
    time = time_of(medium.file)
    whole, zone = f"{time:%Y:%m:%d %H:%M:%S}", time.isoformat()[-6:]
    milliseconds = f"{time.microsecond // 1000:03d}"
    tags = {"CreationDate": f"{whole}.{milliseconds}{zone}"}
    if medium.file.kind == "still":
        tags = {"DateTimeOriginal": whole, "SubSecTimeOriginal": milliseconds,
                "OffsetTimeOriginal": zone}  # fmt: skip
    return msgspec.json.encode(tags).decode()


def _observation(group: Group, taxon: Taxon, event: EventEntry, track: TrackEntry | None) -> Row:
    """An observation of the event as a whole."""
    row: Row = {
        "observationID": event.event_id,
        "eventID": group.id,
        "eventStart": _instant(group.start),
        "eventEnd": _instant(group.end, up=True),
        "observationLevel": "event",
        "observationType": taxon.kind,
        "observationTags": f"rule:{event.rule}",
    }
    if track is not None:
        row["observationTags"] = f"rule:{event.rule} | label:{track.label} | track:{track.id}"
    if track is not None and taxon.kind != "unclassified":
        row |= {
            "scientificName": taxon.scientific_name,
            "count": 1,
            "classificationMethod": "machine",
            "classifiedBy": group.model or None,
            "classificationTimestamp": _instant(time_of(event)),
            "classificationProbability": track.score,
        }
    return row


def _on_still(still: Medium, track: TrackEntry) -> Row:
    """The columns that differ in an observation of the still."""
    x0, y0, x1, y1 = track.box_xyxy
    return {
        "observationID": f"{still.event.event_id}-still" + f"-{still.number}" * (still.number > 1),
        "mediaID": _package_path(still),
        "observationLevel": "media",
        "bboxX": x0,
        "bboxY": y0,
        "bboxWidth": _extent(x0, x1),
        "bboxHeight": _extent(y0, y1),
    }


def _package_path(medium: Medium) -> str:
    """The path in the package: media/<camera>/<date>/<name>."""
    return "/".join(["media", *medium.path.parts[-3:]])


def _extent(low: float, high: float) -> float:
    """A width or height; the specification requires more than 0."""
    return max(round(high - low, EXTENT_DIGITS), 10**-EXTENT_DIGITS)


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{SPECIFICATION}/{name}-table-schema.json",
    }


def _spatial(deployments: Sequence[Row]) -> dict[str, Any]:
    """The positions of the cameras as a GeoJSON point or points."""
    points = sorted({(float(str(row["longitude"])), float(str(row["latitude"])))
                     for row in deployments})  # fmt: skip
    if len(points) == 1:
        return {"type": "Point", "coordinates": points[0]}
    return {"type": "MultiPoint", "coordinates": points}


def _instant(time: datetime, *, up: bool = False) -> str:
    """ISO 8601 in whole seconds, as Camtrap DP requires. up: rounds up, for the end of a span."""
    rest = timedelta(microseconds=time.microsecond)
    time = time - rest + timedelta(seconds=math.ceil(rest.total_seconds()) if up else 0)
    return time.isoformat(timespec="seconds")


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    """The row without its empty columns."""
    return {key: value for key, value in row.items() if value is not None}


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            words = {True: "true", False: "false"}
            writer.writerow({k: words[v] if isinstance(v, bool) else v for k, v in row.items()})
