"""The place of the camera: what is accepted, and what contradicts itself."""

from __future__ import annotations

import pytest

from edge.config.load import loads
from edge.errors import ConfigError


def test_a_site_is_optional_and_its_position_is_a_pair() -> None:
    assert loads("").site.position is None
    site = loads('[site]\nname = "Pond"\nlatitude = 0\nlongitude = -180.0').site
    assert (site.name, site.position, site.altitude_m) == ("Pond", (0.0, -180.0), None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("latitude = 52.4", "site.latitude: longitude is missing; add it, or remove latitude"),
        ("longitude = 4.9", "site.longitude: latitude is missing; add it, or remove longitude"),
        ("altitude_m = 3", "site.altitude_m: latitude and longitude are missing"),
        ("latitude = 91", "91 found, expected a number from -90 to 90"),
        ('longitude = "4° E"', "expected a number from -180 to 180"),
        ("latitude = nan", "expected a number from -90 to 90"),
        ("camera_height_m = -1", "expected a number from 0 to 1000"),
        (f'rights = "{"x" * 201}"', "expected a text of up to 200 characters"),
        ('name = "a\\nb"', "text without control characters"),
        ('deployment = "../x"', "id of up to 64 letters, digits, spaces and _ . : / -"),
    ],
)
def test_a_wrong_site_is_one_sentence(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(f"[site]\n{line}")
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
