"""Writes the JSON beside each capture: the events that triggered it, and its files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from edge.capture.disk import capturing, write
from edge.capture.metadata.origin import SOFTWARE, Origin
from edge.capture.naming import CLIP_SUFFIX, STILL_SUFFIXES, local_time
from edge.capture.request import CaptureRequest, Method, TrackInfo
from edge.errors import CaptureError
from edge.messages import CaptureKind, schema_text
from edge.runtime.clock import ClockState
from edge.runtime.files import read_regular

WRITER: Final = "edge-trigger"
# An event takes 500 bytes: a clip of an hour that is lengthened four times a second takes 7 MB.
MAX_BYTES: Final = 8 << 20
_SUFFIXES: Final[dict[CaptureKind, tuple[str, ...]]] = {
    "still": STILL_SUFFIXES,
    "clip": (CLIP_SUFFIX,),
}
# Numbers of captures: one each millisecond for 34 years. A larger number is damaged.
MAX_SEQUENCE: Final = 2**40
_YEARS: Final = range(1900, 9999)  # with room for the duration of a clip and any zone

# Bounds far above any real value, so that sums and products of what was read stay finite.
Whole: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Number: TypeAlias = Annotated[float, Meta(ge=-1e9, le=1e9)]
BoxXyxy: TypeAlias = tuple[Number, Number, Number, Number]


class TrackEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object. box_xyxy_px: pixels of the main picture; box_xyxy: the same box in 0..1.

    group: of the label, for example animal; absent if it has none.
    """

    id: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    label: str
    score: Number
    box_xyxy_px: BoxXyxy
    box_xyxy: BoxXyxy
    group: str = ""


class EventEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event. time: of exposure, ISO 8601 in local time with zone. latency_ms: from then on.

    time_utc: the same instant in UTC. zones: names of those in which the object stood. method: what
    made it, a rule (motion), a series (timelapse) or a command; absent for a rule, and in sidecars
    of versions that did not know it.
    """

    event_id: str
    rule: str
    time: str
    time_utc: str = ""
    latency_ms: Annotated[float, Meta(ge=-1e15, le=1e15)]
    method: Method = "motion"
    zones: tuple[str, ...] = ()
    track: TrackEntry | None = None


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file. time: of the still, or of the clip's first frame, ISO 8601 in local time with zone.

    time_utc: the same instant in UTC. track: the object in a still that was taken later than its
    event; the first still without it shows the object as in the event.
    """

    name: str
    kind: CaptureKind
    bytes: Whole
    width: Whole
    height: Whole
    time: str
    time_utc: str = ""
    duration_s: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    frames: Whole | None = None
    track: TrackEntry | None = None


class SiteEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The place of the camera, from the settings `[site]`; what is not known is absent.

    deployment: its id; without one in the settings, the name of the camera. latitude, longitude:
    degrees, WGS 84. altitude_m: above the sea. camera_height_m: above the ground.
    """

    name: str = ""
    deployment: str = ""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    altitude_m: Number | None = None
    camera_height_m: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    setup_by: str = ""
    rights: str = ""

    @property
    def position(self) -> tuple[float, float] | None:
        """(latitude, longitude) in degrees, if it is known."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude


class Sidecar(msgspec.Struct, kw_only=True):
    """The contents of a sidecar. events: the first named the group, the others joined it.

    sequence: number of the capture in its folder, one more than the newest had; 0 in sidecars of
    versions that did not count. clock: whether the times in it can be believed. software: name and
    version of the program. boot_id: of its run, in which track ids are unique. model_sha256: of the
    model's flatbuffer. Readers ignore keys that they do not know.
    """

    written_by: str = WRITER
    schema_version: int = 1
    sequence: Annotated[int, Meta(ge=0, le=2**62)] = 0
    clock: ClockState = "unknown"
    software: str = ""
    boot_id: str = ""
    camera: str
    site: SiteEntry = SiteEntry()
    model: str
    model_sha256: str = ""
    events: list[EventEntry]
    files: list[FileEntry] = msgspec.field(default_factory=list)

    def encode(self) -> bytes:
        """The bytes of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def write(self, path: Path) -> int:
        """Writes or replaces the file; returns its size in bytes. Raises CaptureError."""
        data = self.encode()
        write(path, data, replace=True)
        return len(data)


def read_sidecar(path: Path) -> Sidecar | None:
    """None for a file of another program. Raises CaptureError if it can't be read or is damaged."""
    with capturing(path, "read"):
        data = read_regular(path, MAX_BYTES)
    return parse_sidecar(data, path)


def parse_sidecar(data: bytes, path: Path) -> Sidecar | None:
    """The sidecar in these bytes, which may be anything. path: the name it has or will have.

    None for JSON of another program. Raises CaptureError for all other content.
    """
    try:
        content = msgspec.json.decode(data)
        if not (isinstance(content, dict) and content.get("written_by") == WRITER):
            return None
        sidecar = msgspec.convert(content, Sidecar)
        _check(sidecar, path.stem)
    except Exception as error:  # damaged data also raises RecursionError, UnicodeError and others
        raise CaptureError(f"{path} is damaged: {error}") from error
    return sidecar


def time_of(entry: EventEntry | FileEntry) -> datetime:
    """The entry's time, with its zone. Raises ValueError only for entries that nobody checked."""
    return datetime.fromisoformat(entry.time)


def _check(sidecar: Sidecar, stem: str) -> None:
    """Raises ValueError for times without a zone and for files that are not of this capture."""
    if not sidecar.events:
        raise ValueError("it lists no event")
    for file in sidecar.files:
        if file.name not in [stem + suffix for suffix in _SUFFIXES[file.kind]]:
            raise ValueError(f"it lists the file {file.name!r}, which is not of this capture")
    entries: list[EventEntry | FileEntry] = [*sidecar.events, *sidecar.files]
    for entry in entries:
        time = time_of(entry)
        if time.tzinfo is None or time.year not in _YEARS:
            raise ValueError(f"the time {entry.time!r} has no zone or no plausible year")


def new_sidecar(request: CaptureRequest, origin: Origin) -> Sidecar:
    """The sidecar of a group that this request begins, without a file yet."""
    site = msgspec.structs.asdict(origin.site)
    site["deployment"] = origin.site.deployment or request.camera
    return Sidecar(
        software=SOFTWARE,
        boot_id=origin.boot_id,
        camera=request.camera,
        site=SiteEntry(**site),
        model=origin.model,
        model_sha256=origin.model_sha256,
        events=[event_entry(request)],
    )


def event_entry(request: CaptureRequest) -> EventEntry:
    """The event of a request, rounded for people."""
    return EventEntry(
        event_id=request.event_id,
        rule=request.rule,
        time=iso_time(request.wall_ns),
        time_utc=utc_time(request.wall_ns),
        latency_ms=round(request.latency_ms, 1),
        method=request.method,
        zones=request.zones,
        track=track_entry(request.track),
    )


def track_entry(track: TrackInfo | None) -> TrackEntry | None:
    """The object of an event or still, rounded for people."""
    if track is None:
        return None
    return TrackEntry(
        id=track.id,
        label=track.label,
        group=track.group,
        score=round(track.score, 3),
        box_xyxy_px=_rounded(track.box_xyxy_px, 1),
        box_xyxy=_rounded(track.box_xyxy, 4),
    )


def iso_time(wall_ns: int) -> str:
    """ISO 8601 in local time with its zone, to the millisecond."""
    return local_time(wall_ns).isoformat(timespec="milliseconds")


def utc_time(wall_ns: int) -> str:
    """ISO 8601 in UTC, which ends in Z, to the millisecond."""
    utc = local_time(wall_ns).astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def schema() -> bytes:
    """The JSON Schema of a sidecar."""
    return schema_text(msgspec.json.schema(Sidecar))


def _rounded(
    box: tuple[float, float, float, float], digits: int
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(side), digits) for side in box)
    return x0, y0, x1, y1
