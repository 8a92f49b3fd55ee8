"""Captures that are found by filters, kept by a star, deleted by a person, and their thumbnails."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from starlette.requests import Request

from edge.capture.sidecar import EventEntry, FileEntry, Sidecar, TrackEntry, read_sidecar
from edge.capture.stored.kept import group_files
from edge.capture.stored.marks import Mark
from edge.errors import PermanentError
from edge.runtime.files import PartFile
from edge.web.capture_views import CaptureViews
from edge.web.captures import BusyError, Captures, Wanted
from edge.web.thumbnails import SIZE, crop_of, thumbnail

BOX = (0.7, 0.3, 0.8, 0.6)


def make(
    root: Path, day: str, clock: str, rule: str, label: str, zones: tuple[str, ...] = ()
) -> str:
    """A capture with a still, in which its box is red. Returns its id."""
    folder = root / "gate" / day
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{clock}.000_{rule}_1"
    time = f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}.000+05:45"  # Nepal
    track = TrackEntry(
        id=1, label=label, group="animal" if label == "dog" else "", score=0.8,
        box_xyxy_px=(448, 144, 512, 288), box_xyxy=BOX,
    )  # fmt: skip
    event = EventEntry(
        event_id=stem, rule=rule, time=time, latency_ms=1.0, zones=zones, track=track
    )
    still = FileEntry(name=f"{stem}.jpg", kind="still", bytes=3, width=640, height=480, time=time)
    Sidecar(camera="gate", model="m", events=[event], files=[still]).write(folder / f"{stem}.json")
    draw(folder / f"{stem}.jpg")
    return f"{day}/{stem}"


def draw(path: Path, size: tuple[int, int] = (640, 480)) -> None:
    picture = Image.new("RGB", size, (20, 60, 20))
    x0, y0, x1, y1 = (round(side * size[k % 2]) for k, side in enumerate(BOX))
    picture.paste((220, 30, 30), (x0, y0, x1, y1))
    picture.save(path, "JPEG", quality=90)


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    return [
        make(tmp_path, "2026-01-01", "230000", "night", "dog"),
        make(tmp_path, "2026-01-02", "070000", "visitor", "person", ("path", "door")),
        make(tmp_path, "2026-01-02", "073000", "night", "dog", ("path",)),
        make(tmp_path, "2026-01-02", "180000", "visitor", "person"),
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [3, 2, 1, 0]),
        (Wanted(day="2026-01-01"), [0]),
        (Wanted(day="2026-01-02"), [3, 2, 1]),
        (Wanted(day="2026-01-03"), []),
        (Wanted(day="../.."), []),
        (Wanted(day="2026-01-02", hour=7), [2, 1]),
        (Wanted(hour=23), [0]),
        (Wanted(rule="night"), [2, 0]),
        (Wanted(label="dog"), [2, 0]),
        (Wanted(label="animal"), [2, 0]),
        (Wanted(zone="path"), [2, 1]),
        (Wanted(zone="door", label="person"), [1]),
        (Wanted(star=True), [1]),
    ],
)
def test_captures_are_found_by_each_filter(
    ids: list[str], tmp_path: Path, wanted: Wanted, found: list[int]
) -> None:
    captures = Captures(tmp_path, "gate")
    captures.mark(ids[1], Mark.STAR, on=True)
    expected = [ids[number] for number in found]
    assert [entry.id for entry in captures.newest(10, wanted=wanted)] == expected
    if len(expected) > 1:
        older = captures.newest(10, expected[0], wanted)
        assert [entry.id for entry in older] == expected[1:]


def test_the_hours_of_a_day_are_counted_in_the_time_of_the_camera(
    ids: list[str], tmp_path: Path
) -> None:
    overview = Captures(tmp_path, "gate").overview(Wanted())
    assert (overview.day, overview.days) == ("2026-01-02", ["2026-01-02", "2026-01-01"])
    assert {hour: n for hour, n in enumerate(overview.hours) if n} == {7: 2, 18: 1}
    assert (overview.rules, overview.zones) == (["night", "visitor"], ["door", "path"])
    assert overview.labels == ["animal", "dog", "person"]
    dogs = Captures(tmp_path, "gate").overview(Wanted(label="dog", hour=18))
    assert {hour: n for hour, n in enumerate(dogs.hours) if n} == {7: 1}
    assert ids[0].startswith(Captures(tmp_path, "gate").overview(Wanted(day="2026-01-01")).day)


def test_a_camera_without_captures_has_an_overview(tmp_path: Path) -> None:
    overview = Captures(tmp_path, "gate").overview(Wanted(day="2026-01-01"))
    assert (overview.days, sum(overview.hours), len(overview.hours)) == ([], 0, 24)


def test_a_deleted_capture_leaves_no_file_and_others_stay(ids: list[str], tmp_path: Path) -> None:
    captures = Captures(tmp_path, "gate")
    for mark in Mark:
        captures.mark(ids[2], mark, on=True)
    sidecar = tmp_path / "gate" / f"{ids[2]}.json"
    assert all(path.exists() for path in (sidecar, Mark.STAR.path(sidecar)))
    assert captures.delete(ids[2])
    assert not any(path.exists() for path in group_files(sidecar))
    assert [entry.id for entry in captures.newest(10)] == [ids[3], ids[1], ids[0]]
    assert not captures.delete(ids[2])


@pytest.mark.parametrize(
    "name",
    ["", "2026-01-01", "2026-01-01/x", "../2026-01-01/x", "2026-01-01/../2026-01-01/x", "a\0/b",
     "2026-01-01/a\0b", "2026-01-01/../../230000.000_secret_1", "linked/230000.000_night_1",
     "2026-01-09/230000.000_night_1"],
)  # fmt: skip
def test_nothing_else_is_deleted(ids: list[str], tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    make(other, "2026-01-09", "230000", "night", "dog")
    (tmp_path / "gate" / "2026-01-09").symlink_to(other / "gate" / "2026-01-09")
    (tmp_path / "230000.000_secret_1.json").write_bytes(
        (tmp_path / "gate" / f"{ids[0]}.json").read_bytes()
    )
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert not Captures(tmp_path, "gate").delete(name)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


def test_a_capture_that_is_being_written_is_not_deleted(ids: list[str], tmp_path: Path) -> None:
    captures = Captures(tmp_path, "gate")
    clip = PartFile(tmp_path / "gate" / f"{ids[3]}.mp4")  # as the daemon has it until the clip ends
    with pytest.raises(BusyError, match="still being written"):
        captures.delete(ids[3])
    assert captures.newest(1)[0].id == ids[3]
    clip.discard()
    assert captures.delete(ids[3])


def test_a_file_that_is_deleted_before_it_is_sent_is_no_crash(tmp_path: Path) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    captures = Captures(tmp_path, "gate")
    id_ = make(tmp_path, "2026-01-01", "230000", "night", "dog")
    scope = {"type": "http", "method": "GET", "headers": [], "extensions": {}}
    date, stem = id_.split("/")
    path = {"path_params": {"date": date, "name": f"{stem}.jpg"}}
    response = asyncio.run(CaptureViews(captures).file(Request(scope | path, receive, send)))
    assert captures.delete(id_)
    asyncio.run(response(scope, receive, send))
    assert sent[0]["status"] == 404
    assert b"no such capture" in sent[1]["body"]


def test_a_capture_that_can_not_be_deleted_is_reported(
    ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr("edge.capture.stored.deletion.os.unlink", refuse)
    with pytest.raises(PermanentError, match="this user has no permission"):
        Captures(tmp_path, "gate").delete(ids[0])


def test_a_thumbnail_shows_the_object_and_its_surroundings(ids: list[str], tmp_path: Path) -> None:
    data = Captures(tmp_path, "gate").thumbnail(ids[0])
    assert data is not None
    file = tmp_path / "thumbnail.jpg"
    file.write_bytes(data)
    picture = Image.open(file).convert("RGB")
    assert picture.size == SIZE
    assert len(data) < 20_000
    red = [picture.getpixel((x, y))[0] > 120 for x in range(0, 320, 4) for y in range(0, 240, 4)]  # type: ignore[index]
    assert 0.1 < sum(red) / len(red) < 0.5  # in the still: 3 %
    assert picture.getpixel((160, 120))[0] > 150  # type: ignore[index]


def test_each_still_has_the_box_of_its_own_moment(ids: list[str], tmp_path: Path) -> None:
    """The best still of a visit is taken after its event, and a burst goes on while one walks."""
    path = tmp_path / "gate" / f"{ids[0]}.json"
    sidecar = read_sidecar(path)
    assert sidecar is not None
    first, track = sidecar.files[0], sidecar.events[0].track
    assert track is not None
    second = msgspec.structs.replace(first, name=first.name.replace(".jpg", ".2.jpg"))
    draw(path.with_name(second.name))
    sidecar.files.append(second)
    sidecar.write(path)
    captures = Captures(tmp_path, "gate")
    entry = captures.newest(1, wanted=Wanted(day="2026-01-01"))[0]
    assert (entry.still, entry.more_stills) == (f"{ids[0]}.jpg", (f"{ids[0]}.2.jpg",))
    assert entry.still_boxes == (BOX, None)
    later = msgspec.structs.replace(track, box_xyxy=(0.1, 0.3, 0.2, 0.6))
    sidecar.files[0] = msgspec.structs.replace(first, track=later)
    sidecar.write(path)
    entry = captures.newest(1, wanted=Wanted(day="2026-01-01"))[0]
    assert (entry.still_boxes, entry.box) == ((later.box_xyxy, None), BOX)
    assert captures.delete(ids[0])
    assert not path.with_name(second.name).exists()


@pytest.mark.parametrize(
    "size", [(640, 480), (480, 640), (4056, 3040), (64, 48), (1, 1), (3000, 40)]
)
@pytest.mark.parametrize(
    "box",
    [None, BOX, (0.0, 0.0, 1.0, 1.0), (0.99, 0.99, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5),
     (-3.0, 2.0, 5.0, -1.0), (0.0, 0.0, 0.02, 1.0)],
)  # fmt: skip
def test_a_crop_is_within_the_picture_and_has_the_shape_of_thumbnails(
    size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> None:
    x0, y0, x1, y1 = crop_of(box, *size)
    assert -1e-6 <= x0 < x1 <= size[0] + 1e-6
    assert -1e-6 <= y0 < y1 <= size[1] + 1e-6
    assert (x1 - x0) / (y1 - y0) == pytest.approx(SIZE[0] / SIZE[1])


def test_a_damaged_still_has_no_thumbnail(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    draw(file, (1280, 960))
    whole = file.read_bytes()
    assert thumbnail(file, BOX) is not None
    for data in (b"", b"...", whole[: len(whole) // 3], b"GIF89a" + whole):
        file.write_bytes(data)
        assert thumbnail(file, BOX) is None
    assert thumbnail(tmp_path / "none.jpg", BOX) is None
