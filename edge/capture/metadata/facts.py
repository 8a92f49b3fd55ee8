"""The facts that the metadata of stills and clips state, for all formats alike."""

from __future__ import annotations

from dataclasses import dataclass

from edge.capture.metadata.origin import SOFTWARE
from edge.capture.naming import local_time
from edge.capture.sidecar import Sidecar, TrackEntry
from edge.runtime.printable import printable
from edge.vision.types import Exposure


@dataclass(frozen=True, slots=True)
class StillFacts:
    """sidecar: its first event is the still's. wall_ns: Unix time of the still. track: the object.

    size: (width, height) in pixels. board: the computer; empty if it has no name. exposure: None
    if the source does not report it.
    """

    sidecar: Sidecar
    wall_ns: int
    track: TrackEntry | None
    size: tuple[int, int]
    board: str = ""
    exposure: Exposure | None = None

    @property
    def event_id(self) -> str:
        return self.sidecar.events[0].event_id


def title(sidecar: Sidecar) -> str:
    """The capture in one line: object, place and rule."""
    event = sidecar.events[0]
    label = printable(event.track.label) if event.track else "capture"
    return ", ".join(filter(None, (label, sidecar.site.name, f"rule {event.rule}")))


def clip_tags(sidecar: Sidecar, wall_ns: int) -> dict[str, str]:
    """Metadata of an MP4, by the names of FFmpeg and QuickTime. wall_ns: of the first frame.

    Only `creationdate` has the offset of local time, and only `location.ISO6709` all digits.
    """
    local, site = local_time(wall_ns), sidecar.site
    milliseconds = f"{local.microsecond // 1000:03d}"
    tags = {
        "title": title(sidecar),
        "comment": f"event {sidecar.events[0].event_id}",
        "artist": site.setup_by,
        "copyright": site.rights,
        "com.apple.quicktime.software": SOFTWARE,
        "com.apple.quicktime.creationdate": f"{local:%Y-%m-%dT%H:%M:%S}.{milliseconds}{local:%z}",
    }
    if site.position is not None:
        altitude = "" if site.altitude_m is None else f"{site.altitude_m:+.1f}"
        latitude, longitude = site.position
        place = f"{latitude:+09.5f}{longitude:+010.5f}{altitude}/"
        tags |= {"location": place, "com.apple.quicktime.location.ISO6709": place}
    return {name: text for name, text in tags.items() if text}
