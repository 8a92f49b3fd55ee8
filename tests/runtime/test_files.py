from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.naming import folder_of, free_stem, sanitized
from edge.capture.still import encode_jpeg
from edge.errors import CaptureError, PermanentError
from edge.runtime.files import PartFile, check_directory, remove_stale, write_whole
from tests.support.captures import WALL_NS, picture


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    part = PartFile(tmp_path / "a.json")
    part.write(b"one ")
    part.write(b"two")
    assert names(tmp_path) == [".a.json.edge-part"]
    assert part.publish() == 7
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"one two"


def test_only_what_may_be_replaced_is_replaced(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, b"old")
    with pytest.raises(CaptureError, match="in the way"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    write_whole(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_the_folder_for_captures_is_made(tmp_path):
    check_directory(tmp_path / "a" / "b")
    check_directory(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


@pytest.mark.parametrize(
    "where", ["{tmp}/file", "{tmp}/file/below", "/proc/captures", "/sys/kernel/captures"]
)
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, where):
    (tmp_path / "file").write_text("in the way")
    directory = Path(where.format(tmp=tmp_path))
    with pytest.raises(PermanentError) as caught:
        check_directory(directory)
    assert str(caught.value).startswith(f"captures can't be written to {directory}: ")
    assert "\n" not in str(caught.value)
    assert "Errno" not in str(caught.value)


def stale(root: Path, name: str = ".120000.000_a_1.mp4.edge-part") -> Path:
    folder = root / "cam0" / "2026-01-01"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"half a clip")
    return folder


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    folder = stale(tmp_path)
    for other in ("120000.000_a_1.mp4", ".hidden", "notes.edge-part", ".x.part"):
        (folder / other).write_bytes(b"")
    assert remove_stale(tmp_path) == 1
    assert names(folder) == [".hidden", ".x.part", "120000.000_a_1.mp4", "notes.edge-part"]


def test_what_another_process_is_writing_is_not_removed(tmp_path):
    folder = stale(tmp_path)
    script = (
        "import sys, pathlib, time; from edge.runtime.files import PartFile\n"
        "part = PartFile(pathlib.Path(sys.argv[1])); part.write(b'x')\n"
        "print('writing', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "alive.mp4")], stdout=subprocess.PIPE, cwd=root
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"writing\n"
        assert remove_stale(tmp_path) == 1
        assert names(folder) == [".alive.mp4.edge-part"]
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert remove_stale(tmp_path) == 1
    assert names(folder) == []


def test_a_capture_is_named_in_local_time(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # UTC+14: already tomorrow
    __import__("time").tzset()
    try:
        folder = folder_of(tmp_path, "cam0", WALL_NS)
        assert folder == tmp_path / "cam0" / "2026-01-02"
        assert free_stem(folder, WALL_NS, "person", 7) == "015959.250_person_7"
        assert free_stem(folder, WALL_NS, "manual", None) == "015959.250_manual"
    finally:
        monkeypatch.undo()
        __import__("time").tzset()


@pytest.mark.parametrize(
    "taken", ["{}.jpg", "{}.mp4", "{}.json", ".{}.mp4.edge-part", ".{}.jpg.edge-part"]
)
def test_a_name_that_is_taken_in_any_form_is_not_used_again(tmp_path, taken):
    first = free_stem(tmp_path, WALL_NS, "person", 7)
    (tmp_path / taken.format(first)).write_bytes(b"")
    second = free_stem(tmp_path, WALL_NS, "person", 7)
    assert second == f"{first}-2"
    (tmp_path / taken.format(second)).write_bytes(b"")
    assert free_stem(tmp_path, WALL_NS, "person", 7) == f"{first}-3"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ü b", "", "x" * 300, ".", "a\0b\n"])
def test_no_name_leaves_its_folder(name):
    safe = sanitized(name)
    assert os.path.basename(safe) == safe  # noqa: PTH119
    assert safe not in ("", ".", "..")
    assert len(safe) <= 64


@pytest.mark.parametrize("form", ["I420", "NV12", "RGB", "BGR"])
def test_a_still_shows_the_picture(form):
    original = picture(1234, form=form)
    back = cv2.imdecode(np.frombuffer(encode_jpeg(original, 95), np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == (240, 320, 3)
    assert np.abs(back.astype(int) - original.bgr()).mean() < 3


def test_quality_is_what_it_says():
    sizes = [len(encode_jpeg(picture(1), quality)) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2
