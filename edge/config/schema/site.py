"""The section of the place: where the camera stands, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from edge.config.schema.base import Problem, Section, about

MAX_LENGTH: Final = 200  # characters of a text, which goes to each file

Text = Annotated[str, Meta(max_length=MAX_LENGTH, title=f"text of up to {MAX_LENGTH} characters")]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Altitude = Annotated[float, Meta(ge=-500, le=9000)]  # from the Dead Sea to Mount Everest
Height = Annotated[float, Meta(ge=0, le=1000)]


class SiteSettings(Section, frozen=True):
    """The place, in the metadata of captures, in exports, and for times by the sun."""

    name: Annotated[Text, about("name of the place, such as Pond")] = ""
    deployment: Annotated[
        str,
        Meta(pattern=r"\A(|[A-Za-z0-9][A-Za-z0-9_.:/ -]{0,63})\Z"),
        about(
            "id of the deployment, new for each place and season; empty = the camera's name",
            title="id of up to 64 letters, digits, spaces and _ . : / -",
        ),
    ] = ""
    latitude: Annotated[Latitude | None, about("degrees north of the equator, WGS 84")] = None
    longitude: Annotated[Longitude | None, about("degrees east of Greenwich, WGS 84")] = None
    altitude_m: Annotated[Altitude | None, about("height of the place above the sea")] = None
    camera_height_m: Annotated[Height | None, about("height of the camera above the ground")] = None
    setup_by: Annotated[Text, about("person who set the camera up: the creator of captures")] = ""
    rights: Annotated[Text, about("rights or licence of captures, such as CC-BY-4.0")] = ""

    @property
    def position(self) -> tuple[float, float] | None:
        """(latitude, longitude) in degrees; None if it is not set."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude

    def problems(self) -> Iterator[Problem]:
        pair = {"latitude": self.latitude, "longitude": self.longitude}
        missing = [name for name, value in pair.items() if value is None]
        if len(missing) == 1:
            (present,) = pair.keys() - set(missing)
            yield present, f"{missing[0]} is missing; add it, or remove {present}"
        if self.altitude_m is not None and len(missing) == 2:
            yield "altitude_m", "latitude and longitude are missing; add them, or remove altitude_m"
