"""No link below the folder of captures is followed, and no special file blocks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge.capture.stored.storage import StorageGuard
from edge.config.schema import CaptureSettings
from edge.export.groups import read_groups
from edge.web.captures import Captures as Listed
from tests.capture.test_publication import Writer, listed, media, parts
from tests.support.captures import at, frame, request
from tests.support.special import SPECIAL, within


def stills(made: Writer, numbers: range) -> None:
    for number in numbers:
        group = made.writer.group(request(at(number), f"e{number}", actions=("still",)))
        made.writer.still(group, frame(number))


def all_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("linked", ["camera", "date"])
def test_a_linked_folder_is_neither_read_nor_cleaned_nor_deleted(
    tmp_path: Path, linked: str
) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "captures"
    stills(Writer(elsewhere), range(3))
    day = next(elsewhere.glob("*/*"))
    (day / ".left.mp4.edge-part").write_bytes(b"half")
    before = all_files(elsewhere)
    root.mkdir()
    if linked == "camera":
        (root / "cam1").symlink_to(elsewhere / "cam0")
    else:
        (root / "cam1").mkdir()
        (root / "cam1" / day.name).symlink_to(day)
    stills(Writer(root), range(2))
    guard = StorageGuard(
        CaptureSettings(directory=str(root), max_bytes=1, min_free_bytes=0, max_age_days=1e-9)
    )
    guard.scan()
    assert guard.bytes == sum(path.stat().st_size for path in (root / "cam0").rglob("*.*"))
    for path in list(guard._kept):
        guard._delete(path, "test")
    assert all_files(elsewhere) == before
    stills(Writer(root), range(1))
    assert [group.camera for group in read_groups(root).groups] == ["cam0"]
    assert Listed(root, "cam1").newest(10) == []
    assert len(Listed(root, "cam0").newest(10)) == 1


def test_a_folder_that_becomes_a_link_after_the_scan_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "captures"
    made = Writer(root, max_bytes=100_000)
    stills(made, range(2))
    elsewhere = tmp_path / "elsewhere"
    shutil.move(root / "cam0", elsewhere)
    (root / "cam0").symlink_to(elsewhere)
    before = all_files(elsewhere)
    for path in list(made.writer.guard._kept):
        assert not made.writer.guard._delete(path, "test")
    assert all_files(elsewhere) == before
    with pytest.raises(Exception, match=r"cam0 is a link, .* set capture.directory"):
        stills(made, range(5, 6))
    assert all_files(elsewhere) == before
    (root / "cam0").unlink()
    stills(made, range(5, 6))
    assert media(root) == listed(root) != set()


def test_the_folder_of_captures_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "captures").symlink_to(tmp_path / "disk")
    stills(Writer(tmp_path / "captures"), range(2))
    assert len(listed(tmp_path / "disk")) == 2
    assert len(Listed(tmp_path / "captures", "cam0").newest(10)) == 2


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["{}.json", "{}.jpg", ".{}.json.edge-part", ".{}.jpg.edge-part"])
def test_a_special_file_in_the_folder_blocks_nobody(tmp_path: Path, kind: str, name: str) -> None:
    made = Writer(tmp_path)
    stills(made, range(3))
    folder = next(tmp_path.glob("*/*"))
    first, second, _ = sorted(path.stem for path in folder.glob("*.json"))
    path = folder / name.format(second)
    path.unlink(missing_ok=True)
    SPECIAL[kind](path)

    def use() -> None:
        again = Writer(tmp_path)
        again.writer.guard.admit(1)
        assert again.writer.guard.unreadable == (name == "{}.json")
        reading = read_groups(tmp_path)
        assert len(reading.groups) == (2 if name == "{}.json" else 3)
        assert len(reading.unreadable) == (not name.startswith("."))
        assert len(Listed(tmp_path, "cam0").newest(9)) == len(reading.groups)
        assert Listed(tmp_path, "cam0").file(folder.name, f"{first}.jpg") is not None
        found = Listed(tmp_path, "cam0").file(folder.name, f"{second}.jpg")
        assert (found is None) == (name == "{}.jpg")
        stills(again, range(3))  # the same times, so that names are taken
        assert again.failures == []

    within(20, use)
    assert os.path.lexists(path)
    assert len(parts(tmp_path)) == name.startswith(".")


def test_names_that_are_not_text_are_omitted(tmp_path: Path) -> None:
    stills(Writer(tmp_path), range(1))
    folder = next(tmp_path.glob("*/*"))
    shutil.copytree(tmp_path / "cam0", tmp_path / os.fsdecode(b"cam\xff"))
    sidecar = next(folder.glob("*.json"))
    shutil.copy(sidecar, folder / os.fsdecode(b"\xff.json"))
    assert len(read_groups(tmp_path).groups) == 1
    assert len(Listed(tmp_path, "cam0").newest(9)) == 1
