"""After an upgrade one folder has names of both forms, and every reader takes both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.capture.metadata.origin import Origin
from edge.capture.sidecar import FileEntry, Sidecar, event_entry, iso_time
from edge.capture.stored.kept import find_captures
from edge.capture.stored.storage import StorageGuard
from edge.capture.stored.uploaded import is_uploaded, mark
from edge.capture.writer import CaptureWriter
from edge.config.schema import CaptureSettings
from edge.export.groups import read_groups
from edge.export.upload import waiting
from edge.web.captures import Captures as Page
from tests.support.captures import at, frame, request, wall


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC, as the earlier names are local."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


OLD = ("115959.250_person_7", "120000.250_person_8")


def old_capture(folder: Path, stem: str, number: int) -> None:
    """As the version before wrote it."""
    ns = wall(at(10 * number - 10))
    event = event_entry(request(at(10 * number - 10), f"old{number}"))
    still = FileEntry(name=f"{stem}.jpg", kind="still", bytes=3, width=320, height=240,
                      time=iso_time(ns))  # fmt: skip
    (folder / still.name).write_bytes(b"abc")
    Sidecar(sequence=number, camera="cam0", model="m", events=[event], files=[still]).write(
        folder / f"{stem}.json"
    )


def upgraded(root: Path) -> Path:
    """Two captures of the version before and, in the same folder, two of this one."""
    settings = CaptureSettings(directory=str(root), min_free_bytes=0)
    writer = CaptureWriter(settings, Origin("m"), print, lambda *_: None)
    first = writer.group(request(at(30), "new3", actions=("still",)))
    folder = first.folder(root)
    folder.mkdir(parents=True)
    for number, stem in enumerate(OLD, 1):
        old_capture(folder, stem, number)
    writer.guard.scan()
    writer.still(first, frame(30))
    writer.still(writer.group(request(at(40), "new4", actions=("still",))), frame(40))
    return folder


def test_both_forms_are_ordered_exported_uploaded_and_shown(tmp_path: Path) -> None:
    folder = upgraded(tmp_path)
    kept = find_captures(tmp_path).kept
    ordered = [path.stem for path in sorted(kept, key=lambda path: kept[path].order)]
    stems = [*OLD, "cam0_20260101T120002.250Z_person_3", "cam0_20260101T120003.250Z_person_4"]
    assert ordered == stems
    events = ["old1", "old2", "new3", "new4"]
    assert [group.id for group in read_groups(tmp_path).groups] == events
    assert [capture.sidecar.stem for capture in waiting(tmp_path)[0]] == stems
    page = Page(tmp_path, "cam0")
    ids = [f"{folder.name}/{stem}" for stem in reversed(stems)]
    assert [entry.id for entry in page.newest(9)] == ids
    assert [entry.id for entry in page.newest(9, ids[1])] == ids[2:]
    assert page.file(folder.name, f"{stems[2]}.jpg") is not None
    for path in kept:
        assert mark(tmp_path, path, path.lstat().st_mtime_ns)
        assert is_uploaded(path)


def test_a_deleted_capture_of_either_form_keeps_its_place_on_the_page(tmp_path: Path) -> None:
    folder = upgraded(tmp_path)
    for stem in ("cam0_20260101T120002.250Z_person_3", OLD[1]):
        (folder / f"{stem}.json").unlink()
        page = Page(tmp_path, "cam0")
        older = [entry.id for entry in page.newest(9, f"{folder.name}/{stem}")]
        assert f"{folder.name}/{OLD[0]}" in older
        assert f"{folder.name}/cam0_20260101T120003.250Z_person_4" not in older


def test_retention_deletes_both_forms_the_oldest_first_also_damaged_ones(tmp_path: Path) -> None:
    folder = upgraded(tmp_path)
    for stem in (OLD[1], "cam0_20260101T120002.250Z_person_3"):
        (folder / f"{stem}.json").write_bytes(b"{")
    (folder / "notes.json").write_bytes(b"{")
    guard = StorageGuard(CaptureSettings(directory=str(tmp_path), min_free_bytes=0, max_bytes=1))
    guard.scan()
    gone: list[str] = []
    while guard._kept:
        before = {path.stem for path in guard._kept}
        guard._settings = CaptureSettings(
            directory=str(tmp_path), min_free_bytes=0, max_bytes=max(1, guard.bytes - 1)
        )
        guard.admit(0)
        gone += sorted(before - {path.stem for path in guard._kept})
    assert gone == [*OLD, "cam0_20260101T120002.250Z_person_3",
                    "cam0_20260101T120003.250Z_person_4"]  # fmt: skip
    assert [path.name for path in folder.iterdir()] == ["notes.json"]
