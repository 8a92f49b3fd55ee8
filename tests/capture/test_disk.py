from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.disk import check_directory, write
from edge.errors import CaptureError, PermanentError


def test_the_folder_for_captures_is_made(tmp_path: Path) -> None:
    check_directory(tmp_path / "a" / "b")
    check_directory(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize(
    "where", ["{tmp}/file", "{tmp}/file/below", "/proc/captures", "/sys/kernel/captures"]
)
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = Path(where.format(tmp=tmp_path))
    with pytest.raises(PermanentError) as caught:
        check_directory(directory)
    assert str(caught.value).startswith(f"captures can't be written to {directory}: ")
    assert "\n" not in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_an_error_says_which_setting_helps(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write(path, b"old")
    with pytest.raises(CaptureError, match=r"of that name exists already: .*capture\.directory"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    with pytest.raises(CaptureError, match=r"not a folder: .*or set capture\.directory"):
        write(path / "below.jpg", b"")
