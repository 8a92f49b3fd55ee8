from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge.runtime.files import (
    FileError,
    PartFile,
    explain,
    file_errors,
    remove_stale,
    write_atomic,
    write_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a.json")
    part.write(b"one ")
    part.write(b"two")
    assert names(tmp_path) == [".a.json.edge-part"]
    assert part.publish() == 7
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"one two"


def test_only_a_file_that_may_be_replaced_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old", replace=False)
    with pytest.raises(FileExistsError):
        write_atomic(path, b"new", replace=False)
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_a_secret_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    stale(tmp_path, ".key.edge-part").chmod(0o666)  # of a killed process
    write_atomic(tmp_path / "key", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "a.json", b"data")
    assert names(tmp_path) == ["a.json"]


def test_a_second_writer_is_refused_and_destroys_nothing(tmp_path: Path) -> None:
    first = PartFile(tmp_path / "a.json")
    first.write(b"the first writer's")
    with pytest.raises(FileError, match="another process is writing it"):
        write_file(tmp_path / "a.json", b"the second writer's")
    first.publish()
    assert (tmp_path / "a.json").read_bytes() == b"the first writer's"


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_an_error_is_explained_without_a_setting(number: int) -> None:
    reason = explain(OSError(number, os.strerror(number)))
    assert reason
    assert "capture." not in reason
    assert "Errno" not in reason


def test_an_error_names_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    below = tmp_path / "file" / "below"
    with pytest.raises(FileError) as caught:
        write_file(below, b"data")
    reason = "part of the path is a file, not a folder"
    assert str(caught.value) == f"{below} could not be written: {reason}"
    gone = tmp_path / "none"
    sentence = "none could not be read: there is no such file or folder"
    with pytest.raises(FileError, match=sentence), file_errors(gone, "read"):
        gone.read_bytes()


def stale(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(b"half a file")
    return folder / name


def test_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    left = stale(tmp_path, ".a.mp4.edge-part")
    other = stale(tmp_path, ".b.mp4.edge-part")
    assert remove_stale([left, tmp_path / "gone"]) == 1
    assert names(tmp_path) == [other.name]


def test_a_file_that_another_process_is_writing_is_not_removed(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time; from edge.runtime.files import PartFile\n"
        "part = PartFile(pathlib.Path(sys.argv[1])); part.write(b'x')\n"
        "print('writing', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "a.mp4")], stdout=subprocess.PIPE, cwd=root
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"writing\n"
        part = tmp_path / ".a.mp4.edge-part"
        assert remove_stale([part]) == 0
        assert part.exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert remove_stale([part]) == 1
    assert names(tmp_path) == []
