"""Files that can't be opened because others took all descriptors are opened a moment later."""

from __future__ import annotations

import itertools
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.runtime import open_files
from edge.runtime.files import PartFile


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[list[int]]:
    """Descriptors that leave none to this process."""
    assert tmp_path.is_dir()  # made while there are some
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
    descriptors: list[int] = []
    with pytest.raises(OSError, match="Too many open files"):
        descriptors.extend(os.open("/dev/null", os.O_RDONLY) for _ in itertools.count())
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_file_is_written_once_a_descriptor_is_free(taken: list[int], tmp_path: Path) -> None:
    def give_back() -> None:
        for _ in range(3):
            os.close(taken.pop())

    later = threading.Timer(0.1, give_back)
    later.start()
    part = PartFile(tmp_path / "a.jpg")
    part.write(b"picture")
    part.publish()
    later.join()
    assert (tmp_path / "a.jpg").read_bytes() == b"picture"


def test_without_a_free_descriptor_the_wait_ends(taken: list[int], tmp_path: Path) -> None:
    start_s = time.monotonic()
    with pytest.raises(OSError, match="Too many open files"):
        open_files.open_soon(tmp_path / "a.jpg", os.O_CREAT | os.O_WRONLY)
    assert time.monotonic() - start_s >= open_files.WAIT_S
    assert taken


def test_another_error_is_raised_at_once(tmp_path: Path) -> None:
    start_s = time.monotonic()
    with pytest.raises(FileNotFoundError):
        open_files.open_soon(tmp_path / "missing", os.O_RDONLY)
    assert time.monotonic() - start_s < open_files.WAIT_S
