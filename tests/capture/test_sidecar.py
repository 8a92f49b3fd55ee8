"""Whatever a sidecar contains, reading it gives a sidecar, None, or one sentence."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import __version__
from edge.capture.metadata.origin import Origin
from edge.capture.naming import local_time
from edge.capture.sidecar import (
    MAX_BYTES,
    EventEntry,
    FileEntry,
    Sidecar,
    event_entry,
    iso_time,
    new_sidecar,
    parse_sidecar,
    read_sidecar,
    schema,
    time_of,
)
from edge.capture.stored.storage import StorageGuard
from edge.config.schema import CaptureSettings, SiteSettings
from edge.errors import CaptureError
from edge.export.groups import read_groups
from tests.support.captures import START_NS, request

STEM = "101010.123_person_7"
PATH = Path(f"/captures/cam0/2026-01-01/{STEM}.json")


def real() -> bytes:
    files = [
        FileEntry(name=f"{STEM}.jpg", kind="still", bytes=3, width=640, height=480,
                  time=iso_time(START_NS)),
        FileEntry(name=f"{STEM}.mp4", kind="clip", bytes=3, width=640, height=480,
                  time=iso_time(START_NS), duration_s=8.2, frames=82),
    ]  # fmt: skip
    events = [event_entry(request(START_NS))]
    return Sidecar(camera="cam0", model="m", events=events, files=files, sequence=12).encode()


REAL = real()
NUMBERS = ["1e308", "-1e308", "1e999", str(2**63), str(2**64), str(10**400), "NaN", "Infinity",
           "-0.0", "0", "null", "[]", '""', "true"]  # fmt: skip
TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "10101", "",
         "2026-01-01T10:00:00", "2026-02-30T00:00:00Z", "\\u0000", "\\ud800"]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(REAL)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 5)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            case 1:
                del data[at:]
            case 2:
                del data[at : at + draw(st.integers(1, 60))]
            case 3:
                colon = data.find(b": ", at)
                end = min((e for e in (data.find(b, colon) for b in (b",", b"\n")) if e > 0),
                          default=len(data))  # fmt: skip
                data[colon + 2 : end] = draw(st.sampled_from(NUMBERS)).encode()
            case 4:
                old = draw(st.sampled_from([b"2026", b"1970", b"+00:00", b"T"]))
                data = data.replace(old, draw(st.sampled_from(TIMES)).encode(), 1)
            case _:
                deep = draw(st.sampled_from([b"[", b'{"a":'])) * draw(st.sampled_from([10, 10**5]))
                data[at:at] = deep
    return bytes(data)


def check(sidecar: Sidecar) -> None:
    """Every reader can compute with it."""
    entries: list[EventEntry | FileEntry] = [*sidecar.events, *sidecar.files]
    for entry in entries:
        time_of(entry).astimezone(UTC)
    for file in sidecar.files:
        time_of(file) + timedelta(seconds=file.duration_s or 0)
        assert Path(file.name).name == file.name
        assert Path(file.name).stem == STEM
    for event in sidecar.events:
        if event.track is not None:
            x0, y0, x1, y1 = event.track.box_xyxy_px
            assert math.isfinite((x1 - x0) * (y1 - y0))


SITE = SiteSettings(name="Pond", latitude=52.37403, longitude=4.88969, camera_height_m=0.6)
ORIGIN = Origin("ssd", "ab" * 32, "b00t", site=SITE)


def test_a_sidecar_says_where_when_and_by_what_it_was_made() -> None:
    content = json.loads(new_sidecar(request(START_NS, zones=("path", "gate")), ORIGIN).encode())
    jsonschema.validate(content, json.loads(schema()))
    assert content["site"] == {
        "name": "Pond", "deployment": "cam0", "latitude": 52.37403, "longitude": 4.88969,
        "camera_height_m": 0.6,
    }  # fmt: skip
    assert (content["model_sha256"], content["boot_id"]) == ("ab" * 32, "b00t")
    assert content["software"] == f"edge-trigger {__version__}"
    (event,) = content["events"]
    assert event["zones"] == ["path", "gate"]
    assert event["time_utc"] == "2026-01-01T11:59:59.250Z"
    assert datetime.fromisoformat(event["time"]) == datetime.fromisoformat(event["time_utc"])


def test_keys_of_other_programs_are_no_damage() -> None:
    content = json.loads(REAL) | {"review": {"false_alarm": True}}
    content["events"][0]["stars"] = 3
    sidecar = parse_sidecar(json.dumps(content).encode(), PATH)
    assert sidecar == parse_sidecar(REAL, PATH)


def test_the_schema_is_up_to_date() -> None:
    file = Path(__file__).parents[2] / "docs" / "schemas" / "sidecar.json"
    assert file.read_bytes() == schema(), "make schemas"


@given(mutated())
def test_a_mutated_sidecar_is_one_of_three(data: bytes) -> None:
    try:
        sidecar = parse_sidecar(data, PATH)
    except CaptureError:
        return
    if sidecar is not None:
        check(sidecar)


def test_the_scan_and_the_exports_survive_any_content(tmp_path: Path) -> None:
    folder = tmp_path / "cam0" / "2026-01-01"
    folder.mkdir(parents=True)
    damaged = [
        b"", b"{", b"\0" * 4096, b"\xff\xfe", b"[" * 10**6, b'{"a":' * 10**5, REAL[:-40],
        REAL.replace(b'"bytes": 3', b'"bytes": 1e400'),
        REAL.replace(b'"duration_s": 8.2', b'"duration_s": 1e300'),
        REAL.replace(b'"width": 640', b'"width": ' + b"9" * 400),
        REAL.replace(b"T", b" T "), REAL.replace(b'"events": [', b'"events": [], "x": ['),
        REAL + b" " * MAX_BYTES,
    ]  # fmt: skip
    for number, data in enumerate(damaged):
        stem = f"101010.{number:03d}_person_7"
        (folder / f"{stem}.json").write_bytes(data.replace(STEM.encode(), stem.encode()))
    (folder / f"{STEM}.json").write_bytes(REAL)
    (folder / "foreign.json").write_text('{"camera": 7}')
    (folder / "list.json").write_text("[1, 2]")
    guard = StorageGuard(CaptureSettings(directory=str(tmp_path), min_free_bytes=0))
    guard.scan()
    assert guard.unreadable == len(damaged)
    assert guard._sequence == 12
    reading = read_groups(tmp_path)
    assert len(reading.groups) == 1
    assert len(reading.unreadable) == len(damaged)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../101010.123_person_7.jpg", "other.jpg", f"{STEM}.json", f"./{STEM}.jpg",
     f"{STEM}.mp4", f"{STEM}.jpg\n", "", ".", "..", f"{STEM}\0.jpg", f"x/{STEM}.jpg"],
)  # fmt: skip
def test_a_name_that_is_not_of_the_capture_makes_it_unreadable(name: str) -> None:
    sidecar = parse_sidecar(REAL, PATH)
    assert sidecar is not None
    sidecar.files = [
        FileEntry(name=name, kind="still", bytes=1, width=1, height=1, time=iso_time(START_NS))
    ]
    with pytest.raises(CaptureError, match="damaged: it lists the file"):
        parse_sidecar(sidecar.encode(), PATH)


def test_a_sidecar_of_the_first_version_is_read(tmp_path: Path) -> None:
    content = json.loads(REAL)
    for key in ("sequence", "clock", "software", "boot_id", "site", "model_sha256"):
        del content[key]
    old = json.dumps(content).encode()
    path = tmp_path / f"{STEM}.json"
    path.write_bytes(old)
    sidecar = read_sidecar(path)
    assert sidecar is not None
    assert (sidecar.sequence, sidecar.clock, sidecar.site.position) == (0, "unknown", None)


@pytest.mark.parametrize("wall_ns", [-(10**30), -1, 0, 2**63, 10**30])
def test_any_clock_gives_a_name(wall_ns: int) -> None:
    assert 1969 <= local_time(wall_ns).year <= 9999
    assert datetime.fromisoformat(iso_time(wall_ns)).tzinfo is not None
