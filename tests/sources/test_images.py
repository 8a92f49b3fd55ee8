"""Folders of pictures as cameras, cards and power cuts leave them."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edge.commands.run import run
from edge.config.schema import SourceSettings
from edge.errors import SourceError
from edge.sources import folder as listing
from edge.sources import images, open_source, stills
from edge.sources.folder import natural_key
from edge.vision.types import Frame

SIZE = (64, 48)


def jpeg(
    level: int = 100,
    size: tuple[int, int] = SIZE,
    date: str = "",
    subsecond: str = "",
    offset: str = "",
    orientation: int = 0,
) -> bytes:
    """A JPEG whose upper left quarter is white."""
    pixels = np.full((size[1], size[0], 3), level, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    detail = exif.get_ifd(0x8769)
    for tag, text in ((0x9003, date), (0x9291, subsecond), (0x9011, offset)):
        if text:
            detail[tag] = text
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def played(folder: Path, **settings: object) -> list[Frame]:
    source = open_source(SourceSettings(uri=str(folder), **({"fast": True} | settings)))  # type: ignore[arg-type]
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
        if len(frames) == 100:
            break
    source.close()
    return frames


def levels(frames: list[Frame]) -> list[int]:
    """The grey of each picture's lower right corner, in steps of ten."""
    return [round(float(frame.main.rgb()[-8:, -8:].mean()) / 10) * 10 for frame in frames]


def noting(calls: list[object], function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function, whose arguments are added to `calls`."""
    return lambda argument: (calls.append(argument), function(argument))[1]


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def damage(folder: Path) -> int:
    """Adds pictures that can't be read, one of each kind. Returns their number."""
    whole = jpeg(size=(640, 480))
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    put(folder, "a empty.jpg", b"")
    put(folder, "b text.jpg", b"this is text")
    put(folder, "c half.jpg", whole[: len(whole) // 2])
    put(folder, "d half.png", stream.getvalue()[:3000])
    put(folder, "e header.jpg", whole[:20])
    put(folder, "f tiny.jpg", jpeg(size=(1, 1)))
    (folder / "g dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "h loop.jpg").symlink_to(folder / "h loop.jpg")
    (folder / "i folder.jpg").mkdir()
    os.mkfifo(folder / "j fifo.jpg")
    (folder / "k device.jpg").symlink_to("/dev/zero")
    (folder / "l outside.jpg").symlink_to(put(folder.parent, "outside.jpg", jpeg()))
    with (folder / "m huge.jpg").open("wb") as huge:
        huge.write(whole)
        huge.truncate(stills.MAX_BYTES + 1)
    put(folder, "n gif.jpg", b"GIF89a" + bytes(50))
    return 14


def test_pictures_that_cannot_be_read_are_skipped_and_counted_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    for index in range(5):
        put(folder, f"shot{index}.JPG", jpeg(100 + 10 * index))
    bad = damage(folder)
    put(folder, "notes.txt", b"no picture by its name")
    put(folder, ".hidden.jpg", b"")
    (folder / "linked").symlink_to(tmp_path)
    with caplog.at_level(logging.WARNING):
        frames = played(folder)
    assert levels(frames) == [100, 110, 120, 130, 140]
    assert [frame.index for frame in frames] == list(range(5))
    first, last = [record.getMessage() for record in caplog.records]
    assert "a empty.jpg is skipped, as it is empty" in first
    assert f"{bad} of {bad + 5} pictures were skipped" in last
    for reason in ("damaged or not a picture", "1 empty", "2 not a regular file", "1 missing"):
        assert reason in last


def test_a_picture_without_permission_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "1.jpg", jpeg(100))
    locked = put(tmp_path, "2.jpg", jpeg(200))
    really_open = os.open

    def refuse(path: Path, flags: int) -> int:  # as for a user who is not root
        if path == locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    assert levels(played(tmp_path)) == [100]


def test_a_picture_that_vanishes_or_shrinks_while_the_folder_plays_is_skipped(
    tmp_path: Path,
) -> None:
    paths = [put(tmp_path, f"{n}.jpg", jpeg(100 + 10 * n)) for n in range(4)]
    source = open_source(SourceSettings(uri=str(tmp_path), fast=True))
    source.open()
    paths[1].unlink()
    paths[2].write_bytes(b"")
    frames = [source.read() for _ in range(3)]
    assert levels([frame for frame in frames if frame]) == [100, 130]
    assert isinstance(source, images.ImagesSource)
    assert source.skipped == 2


def test_the_majority_decides_the_size_and_the_others_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "0.jpg", jpeg(50, (48, 64)))
    put(tmp_path, "1.jpg", jpeg(50, (128, 96)))
    for index in range(2, 6):
        put(tmp_path, f"{index}.jpg", jpeg(100 + 10 * index))
    with caplog.at_level(logging.WARNING):
        frames = played(tmp_path)
    assert levels(frames) == [120, 130, 140, 150]
    assert frames[0].timestamp_ns == min(frame.timestamp_ns for frame in frames)
    assert "1 of another size (48x64), 1 of another size (128x96)" in caplog.messages[-1]


def test_a_majority_that_is_damaged_does_not_count(tmp_path: Path) -> None:
    for index in range(3):
        put(tmp_path, f"{index}.jpg", jpeg(size=(640, 480))[:4000])
    put(tmp_path, "9.jpg", jpeg(90))
    assert levels(played(tmp_path)) == [90]


def test_only_headers_of_a_bounded_sample_are_read_to_find_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(40):
        put(tmp_path, f"{index}.jpg", jpeg(size=SIZE if index % 4 else (48, 64)))
    decoded: list[object] = []
    headers: list[object] = []
    monkeypatch.setattr(images, "SAMPLE", 15)
    monkeypatch.setattr(
        images, "decode", lambda data: (decoded.append(data), stills.decode(data))[1]
    )
    monkeypatch.setattr(
        images, "size_of", lambda file: (headers.append(file), stills.size_of(file))[1]
    )
    info = open_source(SourceSettings(uri=str(tmp_path))).open()
    assert info.main_size == SIZE
    assert (len(decoded), len(headers)) == (1, 14)


def test_names_are_in_natural_order_over_subfolders(tmp_path: Path) -> None:
    names = [
        "DCIM/99MEDIA/shot1.jpg", "DCIM/100MEDIA/shot2.jpg", "DCIM/100MEDIA/Shot3.JPG",
        "DCIM/100MEDIA/shot10.jpg", "DCIM/101MEDIA/shot1.jpg", "shot2.jpg", "shot11.jpeg",
    ]  # fmt: skip
    for level, name in random.Random(1).sample(list(enumerate(names)), len(names)):
        put(tmp_path, name, jpeg(100 + 10 * level))
    (tmp_path / "DCIM" / "loop").symlink_to(tmp_path)
    assert levels(played(tmp_path)) == [100, 110, 120, 130, 140, 150, 160]


def test_natural_order_is_total() -> None:
    names = ["a1", "a01", "A1", "a", "1", "01", "", "a1b2", "a1b10", "é1", "٣a", "²", "9" * 200]
    ordered = sorted((Path(name) for name in names), key=natural_key)
    assert [p.name for p in ordered if p.name.startswith("a1b")] == ["a1b2", "a1b10"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    turned: Image.Image = Image.open(io.BytesIO(jpeg(0, (96, 64))))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse, as Image.Transpose
    if orientation in back:
        turned = turned.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix, form in ((".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP"), (".tif", "TIFF")):
        stream = io.BytesIO()
        turned.save(stream, form, exif=exif)
        put(tmp_path, f"{orientation}{suffix}", stream.getvalue())
    frames = played(tmp_path)
    assert len(frames) == 4
    for frame in frames:
        rgb = frame.main.rgb()
        assert rgb.shape == (64, 96, 3)
        assert rgb[:24, :40].mean() > 230
        assert rgb[40:].mean() < 25


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_pixel_is_read(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((48, 64), 200 << 8, np.uint16))
    else:
        picture = Image.new("RGB", SIZE, (200, 200, 200)).convert(mode)
    picture.save(tmp_path / ("1.jpg" if mode == "CMYK" else "1.png"))
    (frame,) = played(tmp_path)
    assert frame.main.rgb().mean() == pytest.approx(200, abs=8)
    assert frame.luma.shape == (48, 64)


def test_the_date_in_the_exif_is_the_time_of_the_frame(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg", jpeg(date="2024:05:01 12:00:00", subsecond="25", offset="+02:00"))
    put(tmp_path, "2.jpg", jpeg(date="2023:01:01 00:00:00", offset="-03:30"))
    put(tmp_path, "3.jpg", jpeg(date="2024:07:01 12:00:00"))
    put(tmp_path, "4.jpg", jpeg())
    one, two, three, four = played(tmp_path, fps=2)
    assert (
        one.wall_ns == int(datetime(2024, 5, 1, 10, tzinfo=UTC).timestamp()) * 10**9 + 250_000_000
    )
    assert two.wall_ns == int(datetime(2023, 1, 1, 3, 30, tzinfo=UTC).timestamp()) * 10**9
    assert three.wall_ns == int(datetime(2024, 7, 1, 12).astimezone().timestamp()) * 10**9
    assert abs(four.wall_ns - time.time_ns()) < 60e9
    steps = np.diff([frame.timestamp_ns for frame in (one, two, three, four)])
    assert steps.tolist() == [500_000_000] * 3


@pytest.mark.parametrize(
    "date",
    ["0000:00:00 00:00:00", "2024:02:30 12:00:00", "yesterday", "9999:12:31 23:59:59", " " * 19],
)
def test_a_date_that_is_none_is_ignored(tmp_path: Path, date: str) -> None:
    put(tmp_path, "1.jpg", jpeg(date=date, offset="+99:99", subsecond="xx"))
    (frame,) = played(tmp_path)
    assert abs(frame.wall_ns - time.time_ns()) < 60e9


def test_damaged_exif_is_no_reason_to_skip_a_picture(tmp_path: Path) -> None:
    data = bytearray(jpeg(date="2024:05:01 12:00:00", orientation=6))
    start = data.index(b"Exif\0\0")
    data[start + 14 : start + 60] = random.Random(1).randbytes(46)
    put(tmp_path, "1.jpg", bytes(data))
    assert len(played(tmp_path)) == 1


@pytest.mark.parametrize("loop", [False, True])
def test_a_folder_without_a_readable_picture_is_one_sentence(tmp_path: Path, loop: bool) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    with pytest.raises(SourceError, match="no picture in this folder; it reads"):
        played(folder, loop=loop)
    damage(folder)
    with pytest.raises(SourceError, match=r"no picture can be read in this folder: .*1 missing"):
        played(folder, loop=loop)


def test_a_loop_goes_on_and_ends_when_no_picture_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        put(tmp_path, f"{index}.jpg", jpeg(100 + 10 * index))
    put(tmp_path, "9.jpg", b"")
    assert levels(played(tmp_path, loop=True))[:5] == [100, 110, 120, 100, 110]
    assert len([text for text in caplog.messages if "1 of 4 pictures" in text]) == 1
    source = open_source(SourceSettings(uri=str(tmp_path), fast=True, loop=True))
    source.open()
    source.read()
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="no picture is left"):
        source.read()


def test_a_paced_folder_plays_at_its_rate_and_a_close_ends_the_wait(tmp_path: Path) -> None:
    for index in range(5):
        put(tmp_path, f"{index}.jpg", jpeg(date="2020:01:01 00:00:00"))
    start_s = time.monotonic()
    assert len(played(tmp_path, fast=False, fps=20)) == 5
    assert time.monotonic() - start_s > 0.15
    source = open_source(SourceSettings(uri=str(tmp_path), fps=0.1))
    source.open()
    source.read()
    threading.Timer(0.1, source.close).start()
    start_s = time.monotonic()
    source.read()
    assert time.monotonic() - start_s < 2
    assert source.read() is None


def test_a_folder_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PICTURES", 3)
    for index in range(4):
        put(tmp_path, f"{index}.jpg", jpeg())
    with pytest.raises(SourceError, match="more than 3 pictures"):
        played(tmp_path)


def test_captures_bear_the_date_of_their_picture_and_none_overwrites_another(
    tmp_path: Path,
) -> None:
    """A walker of the drawn scenes as dated pictures, all of the same second, by `edge run`."""
    source = open_source(SourceSettings(uri="synthetic:people?duration=8&fps=4", fast=True))
    source.open()
    folder, kept = tmp_path / "in", tmp_path / "kept"
    index = 0
    while (frame := source.read()) is not None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = "2021:03:04 05:06:07"
        stream = io.BytesIO()
        Image.fromarray(frame.main.rgb()).save(stream, "JPEG", exif=exif, quality=95)
        put(folder, f"img{index}.jpg", stream.getvalue())
        index += 1
    put(folder, "img999.jpg", b"")
    rules = '[[triggers]]\nname="a"\nmin_score=0.2\nconfirm=1\nof_last=1\ncooldown_s=0\n'
    rules += rules.replace('"a"', '"b"')
    config = put(tmp_path, "edge.toml", rules.encode())
    done = CliRunner().invoke(run, [
        "-c", str(config), "--source", str(folder), "--fast", "--set", "source.fps=4",
        "--capture-dir", str(kept), "--endpoint", f"ipc://{tmp_path}/bus",
    ])  # fmt: skip
    assert (done.exit_code, done.exception) == (0, None), done.output
    sidecars = sorted((kept / "cam0" / "2021-03-04").glob("cam0_*_[ab]_*.json"))
    assert len(sidecars) >= 2
    names = [file["name"] for path in sidecars for file in json.loads(path.read_text())["files"]]
    assert len(set(names)) == len(names)
