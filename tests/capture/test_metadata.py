"""Metadata of stills and clips, as exiftool, FFmpeg and OpenCV read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from edge.capture.metadata.facts import StillFacts
from edge.capture.metadata.origin import SOFTWARE, Origin
from edge.capture.request import TrackInfo
from edge.capture.sidecar import new_sidecar
from edge.capture.still import encode_jpeg, metadata
from edge.config.schema import SiteSettings
from edge.vision.types import Exposure
from tests.support.captures import WALL_NS, Captures, at, frame, offer, picture, play, request, wall

BOARD = "Raspberry Pi 5 Model B Rev 1.0"
SITE = SiteSettings(
    name="Pönd", deployment="KN-26/1", latitude=-52.37403, longitude=4.88969, altitude_m=-2.5,
    setup_by="A. Persön", rights="CC-BY-4.0",
)  # fmt: skip
FOX = TrackInfo(3, "fox", 0.875, (32, 24, 160, 192), (0.1, 0.1, 0.5, 0.8), "animal")
EXPOSURE = Exposure("imx708", 8008, 2.5, 0.4)

pytestmark = pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")


def read(path: Path) -> dict[str, Any]:
    """All tags as `group:name`, numbers as numbers."""
    done = subprocess.run(
        ["exiftool", "-j", "-G1", "-n", "-struct", "-a", "-api", "QuickTimeUTC", str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return dict(json.loads(done.stdout)[0])


def still(path: Path, exposure: Exposure | None = EXPOSURE, **fields: Any) -> dict[str, Any]:
    """Writes a still, and reads it back."""
    sidecar = new_sidecar(request(at(0), "e7", **fields), Origin(site=SITE))
    facts = StillFacts(sidecar, WALL_NS, sidecar.events[0].track, (320, 240), BOARD, exposure)
    path.write_bytes(encode_jpeg(picture(5), 90, metadata(facts)))
    return read(path)


def test_a_still_tells_its_time_camera_place_and_event(tmp_path: Path) -> None:
    tags = still(tmp_path / "a.jpg", track=FOX)
    local = tags["Composite:SubSecDateTimeOriginal"]  # what Timelapse and digiKam sort by
    assert local[:4] == "2026"
    assert local[19:23] == ".250"
    assert local[23:] == tags["ExifIFD:OffsetTimeOriginal"]
    assert tags["ExifIFD:DateTimeOriginal"] == tags["IFD0:ModifyDate"] == local[:19]
    assert (tags["IFD0:Make"], tags["IFD0:Model"]) == ("Raspberry Pi", "imx708")
    assert tags["IFD0:HostComputer"] == BOARD
    assert tags["IFD0:Software"] == SOFTWARE
    assert tags["ExifIFD:ExposureTime"] == pytest.approx(0.008008)
    assert (tags["ExifIFD:ISO"], tags["ExifIFD:SubjectDistance"]) == (250, 2.5)
    assert tags["IFD0:ImageDescription"] == "fox, Pönd, rule person"
    assert (tags["IFD0:Artist"], tags["IFD0:Copyright"]) == ("A. Persön", "CC-BY-4.0")
    assert tags["ExifIFD:UserComment"] == "event e7"
    assert tags["Composite:GPSLatitude"] == pytest.approx(-52.37403, abs=1e-7)
    assert tags["Composite:GPSLongitude"] == pytest.approx(4.88969, abs=1e-7)
    assert tags["Composite:GPSAltitude"] == -2.5


def test_a_still_has_keywords_and_the_box_for_digikam_and_lightroom(tmp_path: Path) -> None:
    tags = still(tmp_path / "a.jpg", track=FOX)
    assert tags["XMP-dc:Subject"] == ["animal", "fox"]
    assert tags["XMP-digiKam:TagsList"] == ["animal/fox"]
    assert tags["XMP-lr:HierarchicalSubject"] == ["animal|fox"]
    assert tags["XMP-dc:Creator"] == ["A. Persön"]
    assert tags["XMP-dc:Rights"] == "CC-BY-4.0"
    assert tags["XMP-dc:Description"] == "fox, Pönd, rule person"
    assert tags["XMP-iptcCore:Location"] == "Pönd"
    assert tags["XMP-photoshop:DateCreated"][19:23] == ".250"
    assert tags["XMP-dwc:DCEvent"] == {"EventID": "e7", "ParentEventID": "KN-26/1"}
    assert tags["XMP-dwc:DCTermsLocation"] == {"LocationID": "KN-26/1", "Locality": "Pönd"}
    regions = tags["XMP-mwg-rs:RegionInfo"]
    assert regions["AppliedToDimensions"] == {"W": 320, "H": 240, "Unit": "pixel"}
    (region,) = regions["RegionList"]
    assert (region["Name"], region["Description"]) == ("fox", "score 0.875")
    assert region["Area"] == {"X": 0.3, "Y": 0.45, "W": 0.4, "H": 0.7, "Unit": "normalized"}


def test_metadata_follows_the_standards(tmp_path: Path) -> None:
    still(tmp_path / "a.jpg", track=FOX)
    done = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", "-s3", str(tmp_path / "a.jpg")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "OK\n"


def test_the_picture_itself_is_the_same_with_and_without_metadata(tmp_path: Path) -> None:
    still(tmp_path / "a.jpg")
    plain = np.frombuffer(encode_jpeg(picture(5), 90), np.uint8)
    read_back = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_COLOR)
    assert (read_back == cv2.imdecode(plain, cv2.IMREAD_COLOR)).all()


def test_what_is_not_known_is_absent(tmp_path: Path) -> None:
    sidecar = new_sidecar(request(at(0), "e7", track=None), Origin())
    facts = StillFacts(sidecar, WALL_NS, sidecar.events[0].track, (320, 240))
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(picture(5), 90, metadata(facts)))
    tags = read(path)
    assert tags["ExifIFD:UserComment"] == "event e7"
    absent = ("Make", "Model", "Artist", "GPS", "ExposureTime", "ISO", "Subject", "Region", "Right")
    names = [name.partition(":")[2] for name in tags]
    assert not [name for name in names if name.startswith(absent)]
    assert "Software" in names


@pytest.mark.parametrize(
    ("exposure", "distance_m"),
    [
        (Exposure("imx708", 2**40, 1e9, 0.0), 0xFFFF_FFFF),  # the standard's infinity
        (Exposure("", 1, 1e-9, 1e-9), 0xFFFF_FFFF),
        (Exposure("ü", None, None, 1e9), 0),
        (Exposure("imx708", 100, 1.0), None),
    ],
)
def test_unusual_exposures_and_labels_are_written(
    tmp_path: Path, exposure: Exposure, distance_m: int | None
) -> None:
    label = "a<&\"'\x1b]\u202e]]>ü"
    tags = still(tmp_path / "a.jpg", exposure, track=replace(FOX, label=label, group=""))
    assert tags["XMP-dc:Subject"] == ["a<&\"'\\u001b]\\u202e]]>ü"]
    assert tags.get("ExifIFD:SubjectDistance") == distance_m
    assert "ExifTool:Warning" not in tags


def test_metadata_too_large_for_a_jpeg_costs_no_still(tmp_path: Path) -> None:
    tags = still(tmp_path / "a.jpg", track=replace(FOX, label="x" * 70_000))
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (240, 320, 3)
    assert not [name for name in tags if name.startswith("XMP")]


def test_a_clip_tells_its_time_to_the_millisecond_its_place_and_event(tmp_path: Path) -> None:
    with Captures(tmp_path, site=SITE) as captures:
        offer(captures, range(31))
        captures.recorder.trigger(
            request(at(30), "e9", actions=("still", "clip"), still=frame(30), track=FOX)
        )
        offer(captures, range(31, 100))
    (clip,), (still_,) = captures.clips, captures.stills
    tags = read(clip.path)
    expected = wall(at(play(clip.path).marks[0])) // 1_000_000
    local = tags["Keys:CreationDate"]
    assert local[19:23] == f".{expected % 1000:03d}"
    assert tags["Keys:Title"] == "fox, Pönd, rule person"
    assert tags["Keys:Comment"] == "event e9"
    assert (tags["Keys:Artist"], tags["Keys:Copyright"]) == ("A. Persön", "CC-BY-4.0")
    assert tags["Keys:GPSCoordinates"] == "-52.37403 4.88969 -2.5"
    assert tags["Keys:Software"] == SOFTWARE
    with av.open(str(clip.path)) as container:  # as ffprobe shows it
        shown = container.metadata
        assert shown["creation_time"].endswith(f".{expected % 1000:03d}000Z")
        assert (shown["title"], shown["comment"]) == ("fox, Pönd, rule person", "event e9")
        assert shown["com.apple.quicktime.location.ISO6709"] == "-52.37403+004.88969-2.5/"
    assert read(still_.path)["ExifIFD:UserComment"] == "event e9"
