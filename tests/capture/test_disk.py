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
    ("where", "failure"),
    [
        ("{tmp}/file", PermanentError),
        ("{tmp}/file/below", PermanentError),
        ("{tmp}/link", CaptureError),  # to a disk that is not plugged in
        ("/proc/captures", CaptureError),
        ("/sys/kernel/captures", CaptureError),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, where: str, failure: type[Exception]
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "disk")
    directory = Path(where.format(tmp=tmp_path))
    with pytest.raises(failure) as caught:
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
