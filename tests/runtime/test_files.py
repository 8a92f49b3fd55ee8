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
    is_regular,
    open_lock,
    read_regular,
    remove_stale,
    write_atomic,
    write_file,
)
from tests.support.special import SPECIAL, within


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


@pytest.mark.parametrize("kind", SPECIAL)
def test_only_a_regular_file_is_opened_and_none_blocks(tmp_path: Path, kind: str) -> None:
    path, part = tmp_path / "x", tmp_path / ".x.edge-part"
    SPECIAL[kind](path)
    for opening in (lambda: read_regular(path, 100), lambda: open_lock(path)):
        with pytest.raises(OSError) as caught:
            within(5, opening)
        assert explain(caught.value)
    assert not is_regular(path)
    SPECIAL[kind](part)
    with pytest.raises(OSError):
        within(5, lambda: PartFile(tmp_path / "x"))
    assert within(5, lambda: remove_stale([part])) == 0
    assert os.path.lexists(part)
    if (tmp_path / "secret").exists():
        assert (tmp_path / "secret").read_text() == "private"


@pytest.mark.parametrize("kind", sorted(SPECIAL.keys() & {"fifo", "socket", "device"}))
def test_a_device_is_not_replaced_by_a_file(tmp_path: Path, kind: str) -> None:
    SPECIAL[kind](tmp_path / "null")
    with pytest.raises(FileError, match="it is not a regular file"):
        write_file(tmp_path / "null", b"data")
    assert names(tmp_path) == ["null"]
    assert not is_regular(tmp_path / "null")


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(path, 4)
    with pytest.raises(OSError, match="larger than 1000 bytes"):
        read_regular(Path("/proc/kallsyms"), 1000)  # whose size is said to be 0


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    with open_lock(tmp_path / "lock"), pytest.raises(BlockingIOError):
        open_lock(tmp_path / "lock")
    open_lock(tmp_path / "lock").close()


def test_no_descriptor_is_lost_when_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".x.edge-part")
    first = PartFile(tmp_path / "busy")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        for final in ("x", "busy"):
            with pytest.raises(OSError):
                PartFile(tmp_path / final)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    first.discard()
    first.discard()
