"""The deployments of an export: from the site in the sidecars, and checked against the captures."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge.capture.metadata.origin import Origin
from edge.capture.sidecar import SiteEntry, new_sidecar
from edge.config.schema import SiteSettings
from edge.errors import ConfigError
from edge.export.about import About, Deployment, read_about, with_locations
from edge.export.camtrap_dp import Tables, tables_of
from edge.export.groups import read_groups
from tests.export.test_export import capture, check_package, event
from tests.support.captures import Captures, at, frame, request
from tests.support.commands import edge

POND = SiteEntry(name="Pond", deployment="spring", latitude=52.4, longitude=4.9,
                 camera_height_m=0.6, setup_by="A. Person")  # fmt: skip
WOOD = SiteEntry(name="Wood", deployment="summer", latitude=51.5, longitude=5.5)
MOVED = SiteEntry(name="Wood", deployment="spring", latitude=51.5, longitude=5.5)


def tables(root: Path, about: About | None = None) -> Tables:
    return tables_of(read_groups(root).groups, about or About())


def test_the_site_of_the_settings_is_all_that_an_export_needs(tmp_path: Path) -> None:
    site = SiteSettings(name="Pond", latitude=52.4, longitude=4.9, setup_by="A. Person")
    with Captures(tmp_path / "captures", clips=False, site=site) as captures:
        asked = request(at(5), zones=("path",), actions=("still",), still=frame(5))
        captures.recorder.trigger(asked)
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", tmp_path / "captures")
    assert done.returncode == 0, done.stderr
    rows = check_package(tmp_path / "dp")
    (deployment,), (medium,) = rows["deployments"], rows["media"]
    assert (deployment["deploymentID"], deployment["setupBy"]) == ("cam0", "A. Person")
    assert (deployment["locationName"], float(deployment["latitude"])) == ("Pond", 52.4)
    assert deployment["deploymentStart"] < deployment["deploymentEnd"]
    (still,) = captures.stills
    milliseconds = still.path.name.partition(".")[2][:3]
    exif = medium["exifData"] if isinstance(medium["exifData"], dict) else json.loads(
        medium["exifData"])  # fmt: skip
    assert exif["SubSecTimeOriginal"] == milliseconds == "750"
    done = edge("export", "csv", "-", "--captures", tmp_path / "captures")
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert (row["zones"], row["deployment"], row["latitude"]) == ("path", "cam0", "52.4")
    assert row["boot_id"] == "b1"
    assert row["time"][19:23] == ".750"


def test_each_deployment_of_a_camera_is_a_row_with_its_place(tmp_path: Path) -> None:
    capture(tmp_path, event("e1", 1), site=POND)
    capture(tmp_path, event("e2", 20), site=WOOD)
    capture(tmp_path, event("e3", 30), site=POND, camera="cam1")
    found = tables(tmp_path)
    assert [(row["deploymentID"], row["cameraID"], row["locationName"], row["cameraHeight"])
            for row in found.deployments] == [
        ("spring/cam0", "cam0", "Pond", 0.6), ("summer", "cam0", "Wood", None),
        ("spring/cam1", "cam1", "Pond", 0.6),
    ]  # fmt: skip
    assert [row["deploymentID"] for row in found.media] == ["spring/cam0", "summer", "spring/cam1"]


def test_two_locations_of_a_deployment_are_an_error_unless_one_is_given(tmp_path: Path) -> None:
    capture(tmp_path, event("e1", 1), site=POND)
    capture(tmp_path, event("e2", 20), site=MOVED)
    with pytest.raises(ConfigError, match=r"camera cam0 has 2 locations in the deployment spring: "
                       r"52\.4,4\.9 at .*, 51\.5,5\.5 at .*; export each by itself"):  # fmt: skip
        tables(tmp_path)
    found = tables(tmp_path, with_locations(About(), ["cam0=51.5,5.5"]))
    assert [row["latitude"] for row in found.deployments] == [51.5]


@pytest.mark.parametrize("texts", [["cam0=1,2", "cam0=1,3"], ["cam1=1,2", "cam1=1,2.5"]])
def test_two_locations_on_the_command_line_are_an_error(texts: list[str]) -> None:
    with pytest.raises(ConfigError, match="has another location already, 1,2; give one of them"):
        with_locations(About(), texts)


def test_a_location_keeps_what_the_file_says_and_must_not_contradict_it() -> None:
    about = About(deployments={"cam0": Deployment(latitude=1, longitude=2, habitat="wood")})
    assert with_locations(about, ["cam0=1,2"]) == about
    with pytest.raises(ConfigError, match="--location cam0=3,2: camera cam0 has another location"):
        with_locations(about, ["cam0=3,2"])
    only = About(deployments={"cam0": Deployment(habitat="wood")})
    assert with_locations(only, ["cam0=1,2"]) == about


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        ({"start": "2025-03-30T12:00:02+02:00"}, r"does not hold its capture of .*12:00:01\.500"),
        ({"end": "2025-03-30T12:00:02+02:00"}, r"does not hold its capture of .*12:00:20"),
        ({"end": "2025-03-30T10:00:02+02:00"}, "does not hold its capture"),
    ],
)
def test_a_deployment_that_does_not_hold_its_captures_is_refused(
    span: dict[str, str], problem: str, tmp_path: Path
) -> None:
    capture(tmp_path, event("e1", 1.5), site=POND)
    capture(tmp_path, event("e2", 20), site=POND)
    times: dict[str, Any] = {key: datetime.fromisoformat(text) for key, text in span.items()}
    with pytest.raises(ConfigError, match=problem):
        tables(tmp_path, About(deployments={"spring": Deployment(**times)}))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("start = 2025-03-02T00:00:00Z\nend = 2025-03-01T00:00:00Z",
         "deployments.cam0: its end, 2025-03-01T00:00:00+00:00, is not after its start"),
        ("latitude = 3", "deployments.cam0: give latitude and longitude, or neither"),
    ],
)  # fmt: skip
def test_a_deployment_that_contradicts_itself_is_refused(
    lines: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "about.toml").write_text(f"[deployments.cam0]\n{lines}\n")
    with pytest.raises(ConfigError, match=re.escape(problem)):
        read_about(tmp_path / "about.toml")


def test_a_site_without_a_deployment_has_the_name_of_the_camera() -> None:
    sidecar = new_sidecar(request(at(0), camera="door"), Origin())
    assert (sidecar.site.deployment, sidecar.site.position) == ("door", None)
