from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge.capture.naming import folder_of, free_stem, sanitized
from tests.support.captures import WALL_NS


def test_a_capture_is_named_in_local_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # UTC+14: already tomorrow
    time.tzset()
    try:
        folder = folder_of(tmp_path, "cam0", WALL_NS)
        assert folder == tmp_path / "cam0" / "2026-01-02"
        assert free_stem(folder, WALL_NS, "person", 7) == "015959.250_person_7"
        assert free_stem(folder, WALL_NS, "manual", None) == "015959.250_manual"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "taken", ["{}.jpg", "{}.mp4", "{}.json", ".{}.mp4.edge-part", ".{}.jpg.edge-part"]
)
def test_a_name_that_is_taken_in_any_form_is_not_used_again(tmp_path: Path, taken: str) -> None:
    first = free_stem(tmp_path, WALL_NS, "person", 7)
    (tmp_path / taken.format(first)).write_bytes(b"")
    second = free_stem(tmp_path, WALL_NS, "person", 7)
    assert second == f"{first}-2"
    (tmp_path / taken.format(second)).write_bytes(b"")
    assert free_stem(tmp_path, WALL_NS, "person", 7) == f"{first}-3"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ü b", "", "x" * 300, ".", "a\0b\n"])
def test_no_name_leaves_its_folder(name: str) -> None:
    safe = sanitized(name)
    assert os.path.basename(safe) == safe  # noqa: PTH119
    assert safe not in ("", ".", "..")
    assert len(safe) <= 64
