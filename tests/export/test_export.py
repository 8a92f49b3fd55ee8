"""Exports as other programs read them: frictionless, csv, and the pictures."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import pytest
from frictionless import Package, Schema, system

from edge.capture.request import Method
from edge.capture.sidecar import EventEntry, FileEntry, Sidecar, SiteEntry, TrackEntry
from edge.capture.stored.marks import Mark
from tests.support.commands import edge

SCHEMAS = Path(__file__).parent / "camtrap_dp"
TABLES = ("deployments", "media", "observations")


def event(
    name: str,
    second: float,
    label: str = "person",
    track: int | None = 1,
    group: str = "",
    method: Method = "motion",
) -> EventEntry:
    box = (0.25, 0.1, 0.5, 0.9)
    return EventEntry(
        event_id=name,
        rule="visitor",
        time=f"2025-03-30T12:00:{second:06.3f}+02:00",
        latency_ms=80.0,
        method=method,
        track=None
        if track is None
        else TrackEntry(id=track, label=label, group=group, score=0.75, box_xyxy=box,
                        box_xyxy_px=(160.0, 48.0, 320.0, 432.0)),
    )  # fmt: skip


def capture(
    root: Path,
    *events: EventEntry,
    camera: str = "cam0",
    clip: bool = False,
    lost: bool = False,
    site: SiteEntry | None = None,
    later: Sequence[TrackEntry | None] = (),
) -> None:
    folder = root / camera / events[0].time[:10]
    folder.mkdir(parents=True, exist_ok=True)
    stem = events[0].event_id
    files = [FileEntry(name=f"{stem}.jpg", kind="still", bytes=3, width=640, height=480,
                       time=events[0].time)]  # fmt: skip
    files += [FileEntry(name=f"{stem}.{n}.jpg", kind="still", bytes=3, width=640, height=480,
                        time=events[0].time, track=track)
              for n, track in enumerate(later, 2)]  # fmt: skip
    if clip:
        start = datetime.fromisoformat(events[0].time) - timedelta(seconds=3)
        files.append(
            FileEntry(name=f"{stem}.mp4", kind="clip", bytes=3, width=640, height=480,
                      time=start.isoformat(timespec="milliseconds"), duration_s=8.2, frames=82)
        )  # fmt: skip
    for file in files if not lost else []:
        (folder / file.name).write_bytes(b"abc")
    place = site or SiteEntry()
    Sidecar(camera=camera, model="ssd", events=list(events), files=files, site=place).write(
        folder / f"{stem}.json"
    )


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    root = tmp_path / "captures"
    capture(root, event("e1", 1.5), event("e2", 2.25, track=2), clip=True)
    capture(root, event("e2", 2.25, track=2))  # has a still, and lengthened the clip of e1
    capture(root, event("e3", 20, "bird"))
    capture(root, event("e4", 30, track=None))
    capture(root, event("e5", 40, "suitcase"), camera="cam1")
    capture(root, event("e6", 50), camera="cam1", lost=True)
    return root


def export(captures: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    places = ["--location", "cam0=52.37403,4.88969", "--location", "cam1=-33.9,151.2"]
    return edge("export", "camtrap-dp", out, "--captures", captures, *places, *more)


def check_package(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Validates the profile, the tables and the relations between them; returns the rows."""
    descriptor = json.loads((folder / "datapackage.json").read_text())
    jsonschema.validate(descriptor, json.loads((SCHEMAS / "profile.json").read_text()))
    assert {resource["name"] for resource in descriptor["resources"]} == set(TABLES)
    resources = [
        {"name": name, "path": f"{name}.csv", "scheme": "file", "format": "csv",
         "mediatype": "text/csv", "encoding": "utf-8",
         "schema": json.loads((SCHEMAS / f"{name}.json").read_text())}
        for name in TABLES
    ]  # fmt: skip
    for resource in resources:
        with (folder / resource["path"]).open(newline="") as stream:
            columns = next(csv.reader(stream))
        specified = [field["name"] for field in resource["schema"]["fields"]]
        assert columns == [n for n in specified if n in columns], "unknown, or out of order"
        resource["schema"]["fields"] = [
            field for field in resource["schema"]["fields"]
            if field["name"] in columns or field["constraints"]["required"]
        ]  # fmt: skip
    with system.use_context(trusted=True):
        package = Package.from_descriptor({"resources": resources}, basepath=str(folder))
        report = package.validate()
        assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "note"])
        return {
            name: [row.to_dict() for row in package.get_table_resource(name).read_rows()]
            for name in TABLES
        }


def test_the_restated_schemas_are_table_schemas() -> None:
    for name in TABLES:
        assert Schema.from_descriptor(str(SCHEMAS / f"{name}.json")).primary_key


def test_camtrap_dp_is_valid_and_has_every_observation(captures: Path, tmp_path: Path) -> None:
    done = export(captures, tmp_path / "dp")
    assert done.returncode == 0, done.stderr
    tables = check_package(tmp_path / "dp")
    places = [(row["deploymentID"], float(row["latitude"])) for row in tables["deployments"]]
    assert places == [("cam0", 52.37403), ("cam1", -33.9)]
    media = {row["fileName"]: row for row in tables["media"]}
    assert set(media) == {
        "e1.jpg",
        "e1.mp4",
        "e2.jpg",
        "e3.jpg",
        "e4.jpg",
        "e5.jpg",
    }  # e6's is lost
    assert media["e1.mp4"]["fileMediatype"] == "video/mp4"
    assert [media[f"e{n}.jpg"]["filePublic"] for n in (1, 3)] == [False, True]
    assert all((tmp_path / "dp" / row["filePath"]).read_bytes() == b"abc" for row in media.values())
    observed = {row["observationID"]: row for row in tables["observations"]}
    assert {name: row["observationType"] for name, row in observed.items()} == {
        "e1": "human", "e1-still": "human", "e2": "human", "e2-still": "human",
        "e3": "animal", "e3-still": "animal",
        "e4": "unclassified", "e5": "unknown", "e5-still": "unknown", "e6": "human",
    }  # fmt: skip
    assert observed["e3"]["scientificName"] == "Aves"
    assert observed["e2"]["eventID"] == observed["e1"]["eventID"] == "e1"
    assert (observed["e1"]["eventStart"].second, observed["e1"]["eventEnd"].second) == (58, 7)
    assert observed["e1-still"]["mediaID"] == media["e1.jpg"]["mediaID"]
    assert float(observed["e1-still"]["bboxWidth"]) == 0.25
    assert observed["e4"]["count"] is None


def test_camtrap_dp_contains_the_description_of_the_study(captures: Path, tmp_path: Path) -> None:
    about = tmp_path / "about.toml"
    about.write_text("""
title = "Visitors"
data_license = "CC0-1.0"
media_license = "CC-BY-4.0"
contributors = [{ title = "A. Person", email = "a@example.org", role = "contact" }]
[project]
title = "Doors"
sampling_design = "targeted"
[deployments.cam0]
latitude = 1.5
longitude = 2.5
start = 2025-03-01T00:00:00Z
end = 2025-04-01T00:00:00Z
habitat = "hallway"
[labels.suitcase]
kind = "blank"
""")
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", captures, "--about", about,
                "--location", "cam1=3,4")  # fmt: skip
    assert done.returncode == 0, done.stderr
    tables = check_package(tmp_path / "dp")
    assert [row["habitat"] for row in tables["deployments"]] == ["hallway", None]
    assert tables["deployments"][0]["deploymentStart"].day == 1
    assert "blank" in {row["observationType"] for row in tables["observations"]}
    package = json.loads((tmp_path / "dp" / "datapackage.json").read_text())
    assert package["contributors"][0]["role"] == "contact"
    assert package["spatial"] == {"type": "MultiPoint", "coordinates": [[2.5, 1.5], [4.0, 3.0]]}
    assert [row["scope"] for row in package["licenses"]] == ["data", "media"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--location", "cam0=91,0"], "CAMERA=LATITUDE,LONGITUDE"),
        (["--location", "cam0"], "CAMERA=LATITUDE,LONGITUDE"),
        (["--location", "cam0=1,2"], "camera cam1 has no position"),
        (["--camera", "cam7"], "no capture matches"),
        (["--captures", "/nowhere"], "contains no captures"),
        (["--about", "/nowhere.toml"], "No such file"),
    ],
)
def test_an_error_is_one_sentence_and_leaves_no_files(
    arguments: list[str], problem: str, captures: Path, tmp_path: Path
) -> None:
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", captures, *arguments)
    assert done.returncode
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [path for path in tmp_path.iterdir() if "dp" in path.name]


def test_the_group_gives_an_unknown_label_its_kind(tmp_path: Path) -> None:
    capture(tmp_path / "captures", event("e1", 1, "roe deer", group="animal"))
    location = ("--location", "cam0=1,2")
    done = edge(
        "export", "camtrap-dp", tmp_path / "dp", "--captures", tmp_path / "captures", *location
    )
    assert done.returncode == 0, done.stderr
    observed = check_package(tmp_path / "dp")["observations"]
    assert [row["observationType"] for row in observed] == ["animal", "animal"]
    done = edge("export", "csv", "-", "--captures", tmp_path / "captures")
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert (row["label"], row["group"]) == ("roe deer", "animal")


def test_a_false_alarm_is_blank_and_a_picture_without_an_annotation(tmp_path: Path) -> None:
    root = tmp_path / "captures"
    capture(root, event("e1", 1, track=1))
    capture(root, event("e2", 30, track=2))
    (marked,) = root.rglob("e1.json")
    Mark.FALSE_ALARM.set(root, marked, on=True)
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", root,
                "--location", "cam0=1,2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    observed = check_package(tmp_path / "dp")["observations"]
    kinds = {row["observationID"]: row["observationType"] for row in observed}
    assert kinds == {"e1": "blank", "e2": "human", "e2-still": "human"}
    assert edge("export", "coco", tmp_path / "c.json", "--captures", root).returncode == 0
    document = json.loads((tmp_path / "c.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in document["images"]}
    assert sorted(names.values()) == ["e1", "e2"]
    assert [names[row["image_id"]] for row in document["annotations"]] == ["e2"]
    done = edge("export", "csv", "-", "--captures", root)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["label"], row["false_alarm"]) for row in rows] == [
        ("person", "true"), ("person", "false"),
    ]  # fmt: skip


def test_series_commands_and_plain_motion_are_exported_as_such(tmp_path: Path) -> None:
    root = tmp_path / "captures"
    capture(root, event("e1", 1, "motion", track=-1))
    capture(root, event("e2", 20, track=None, method="command"))
    capture(root, event("e3", 50, track=None, method="timelapse"))
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", root,
                "--location", "cam0=1,2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    tables = check_package(tmp_path / "dp")
    assert {row["fileName"]: row["captureMethod"] for row in tables["media"]} == {
        "e1.jpg": "activityDetection", "e2.jpg": None, "e3.jpg": "timeLapse",
    }  # fmt: skip
    observed = {row["observationID"]: row for row in tables["observations"]}
    assert {row["observationType"] for row in observed.values()} == {"unclassified"}
    assert set(observed) == {"e1", "e1-still", "e2", "e3"}
    assert observed["e1"]["classificationMethod"] is observed["e1"]["count"] is None
    assert "label:motion" in observed["e1"]["observationTags"]
    (deployment,) = tables["deployments"]
    assert deployment["deploymentEnd"].second == 50, "the series shows how long the camera ran"
    package = json.loads((tmp_path / "dp" / "datapackage.json").read_text())
    assert package["project"]["captureMethod"] == ["activityDetection", "timeLapse"]
    rows = csv.DictReader(edge("export", "csv", "-", "--captures", root).stdout.splitlines())
    assert [row["method"] for row in rows] == ["motion", "command", "timelapse"]


def test_the_stills_of_a_burst_are_exported_with_the_boxes_there(tmp_path: Path) -> None:
    root = tmp_path / "captures"
    moved = TrackEntry(id=1, label="person", score=0.6, box_xyxy=(0.5, 0.1, 0.75, 0.9),
                       box_xyxy_px=(320.0, 48.0, 480.0, 432.0))  # fmt: skip
    capture(root, event("e1", 1), later=[moved, None], clip=True)
    done = edge("export", "camtrap-dp", tmp_path / "dp", "--captures", root,
                "--location", "cam0=1,2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    tables = check_package(tmp_path / "dp")
    names = {"e1.jpg", "e1.2.jpg", "e1.3.jpg", "e1.mp4"}
    assert {row["fileName"] for row in tables["media"]} == names
    observed = {row["observationID"]: row for row in tables["observations"]}
    assert set(observed) == {"e1", "e1-still", "e1-still-2"}
    assert [float(observed[name]["bboxX"]) for name in ("e1-still", "e1-still-2")] == [0.25, 0.5]
    (row,) = csv.DictReader(edge("export", "csv", "-", "--captures", root).stdout.splitlines())
    assert [Path(name).name for name in row["still"].split()] == ["e1.jpg", "e1.2.jpg", "e1.3.jpg"]
    assert edge("export", "coco", tmp_path / "c.json", "--captures", root).returncode == 0
    document = json.loads((tmp_path / "c.json").read_text())
    assert len(document["images"]) == 3
    assert [box["bbox"][0] for box in document["annotations"]] == [160.0, 320.0]


def test_an_existing_folder_is_not_touched(captures: Path, tmp_path: Path) -> None:
    (tmp_path / "dp").mkdir()
    done = export(captures, tmp_path / "dp")
    assert "already exists" in done.stderr
    assert not list((tmp_path / "dp").iterdir())


def test_csv_has_a_row_for_each_event(captures: Path, tmp_path: Path) -> None:
    done = edge("export", "csv", "-", "--captures", captures, "--camera", "cam0")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["event_id"] for row in rows] == ["e1", "e2", "e3", "e4"]
    assert rows[0]["still"] == "cam0/2025-03-30/e1.jpg"
    assert rows[1]["still"] == "cam0/2025-03-30/e2.jpg"
    assert [row["clip_s"] for row in rows] == ["8.2", "8.2", "", ""]
    assert rows[3]["label"] == ""
    day = ["--since", "2025-03-31", "--until", "2025-04-01"]
    done = edge("export", "csv", tmp_path / "t.csv", "--captures", captures, *day)
    assert done.stdout.endswith("0 events\n"), done.stderr


def test_real_footage_exports_to_all_three(shared_data: Path, tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    ran = subprocess.run(
        [sys.executable, "-m", "edge.cli", "run", "--fast",
         "--source", shared_data / "TUD-Campus.mp4", "--capture-dir", captures,
         "--endpoint", f"ipc://{tmp_path}/e.ipc",
         "--set", "triggers=[{name='person', labels=['person'], cooldown_s=0.5}]"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert export(captures, tmp_path / "dp").returncode == 0
    tables = check_package(tmp_path / "dp")
    assert {row["scientificName"] for row in tables["observations"]} == {"Homo sapiens"}
    done = edge("export", "coco", tmp_path / "coco.json", "--captures", captures)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "coco.json").read_text())
    assert document["annotations"]
    images = {image["id"]: image for image in document["images"]}
    for box in document["annotations"]:
        image = images[box["image_id"]]
        height, width, _ = cv2.imread(str(captures / image["file_name"])).shape
        assert (image["width"], image["height"]) == (width, height)
        x, y, w, h = box["bbox"]
        assert 0 <= x < x + w <= width + 1
        assert 0 <= y < y + h <= height + 1
    assert {row["id"] for row in document["categories"]} == {
        row["category_id"] for row in document["annotations"]
    }


def test_a_closed_pipe_ends_it_quietly(captures: Path) -> None:
    """The table is shorter than a buffer, so that only the flush at its end fails."""
    command = [sys.executable, "-m", "edge.cli", "export", "csv", "-", "--captures", str(captures)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "")
