"""A still or clip and its sidecar appear both or not at all, whatever fails and when."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.capture.metadata.origin import Origin
from edge.capture.request import CaptureResult
from edge.capture.sidecar import read_sidecar
from edge.capture.writer import CaptureWriter
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.files import PART_SUFFIX
from edge.vision.types import EncodedStream
from tests.faults.disk import small_disk
from tests.support.captures import at, frame, packets, request

STREAM = EncodedStream(320, 240)
PACKETS = packets(3)
# The system calls of the write path, as Python names them.
CALLS = ("open", "fsync", "replace", "ftruncate", "fstat", "mkdir", "unlink", "statvfs", "lstat")


class Writer:
    """A writer with all that it reported."""

    def __init__(self, root: Path, **settings: Any) -> None:
        given: dict[str, Any] = {"min_free_bytes": 0, "max_bytes": 0, "directory": str(root)}
        self.root = root
        self.results: list[CaptureResult] = []
        self.failures: list[str] = []
        self.writer = CaptureWriter(
            CaptureSettings(**(given | settings)),
            Origin("model"),
            self.results.append,
            lambda kind, ids, reason: self.failures.append(reason),
        )
        self.writer.guard.scan()

    def capture(self, index: int = 0) -> None:
        """A still and a clip of one event, as the recorder makes them."""
        group = self.writer.group(request(at(index), f"e{index}", actions=("still", "clip")))
        with suppress(CaptureError):
            self.writer.start_clip(group, STREAM, PACKETS)
        with suppress(CaptureError):
            self.writer.still(group, frame(index))
        with suppress(CaptureError):
            self.writer.end_clip()


def media(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*.*") if path.suffix in (".jpg", ".mp4")}


def listed(root: Path) -> set[str]:
    sidecars = [read_sidecar(path) for path in root.rglob("*.json")]
    return {file.name for sidecar in sidecars if sidecar for file in sidecar.files}


def parts(root: Path) -> list[Path]:
    return list(root.rglob(f".*{PART_SUFFIX}"))


@contextmanager
def failing(number: int, error: int, *, lasting: bool) -> Iterator[Callable[[], bool]]:
    """The call of this number fails, and with `lasting` all after it. Yields: whether it came."""
    made = 0

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            made += 1
            if made == number or (lasting and made > number):
                raise OSError(error, os.strerror(error))
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrapped(getattr(os, name)))
        yield lambda: made >= number


@pytest.mark.parametrize(
    ("error", "lasting"),
    [(errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False), (errno.EROFS, True)],
)
def test_a_failure_at_any_system_call_leaves_no_file_alone(
    tmp_path: Path, error: int, lasting: bool
) -> None:
    number, came = 1, True
    while came:
        root = tmp_path / str(number)
        made = Writer(root)
        with failing(number, error, lasting=lasting) as has_come:
            made.capture()
            came = has_come()
        if not lasting:  # otherwise the disk refused to remove or rename as well
            assert media(root) == listed(root), number
            assert {result.path.name for result in made.results} <= media(root)
        made.writer.guard.scan()
        assert media(root) == listed(root), number
        assert parts(root) == []
        made.writer.guard.scan()
        kept = sum(path.stat().st_size for path in root.rglob("*.*") if path.is_file())
        assert made.writer.guard.bytes == kept
        number += 1
    assert number > 20
    assert len(made.results) == 2


def test_a_folder_that_cannot_be_synced_costs_no_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Writer(tmp_path)
    made.capture(0)

    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("edge.capture.writer.sync_directory", fail)
    made.capture(1)
    assert media(tmp_path) == listed(tmp_path)
    assert len(media(tmp_path)) == 4
    assert len(made.results) == 4


@pytest.mark.parametrize("kind", ["still", "clip"])
def test_after_a_kill_between_the_two_names_the_sidecar_follows(tmp_path: Path, kind: str) -> None:
    real = os.replace
    child = os.fork()
    if child == 0:  # a real process, with real locks that end with it
        made = Writer(tmp_path)

        def replace(part: str, final: str) -> None:
            if str(final).endswith(".json") and (kind == "still" or os.path.lexists(final)):
                os.kill(os.getpid(), signal.SIGKILL)
            real(part, final)

        os.replace = replace  # type: ignore[assignment]
        made.capture()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert any(part.name.endswith(f".json{PART_SUFFIX}") for part in parts(tmp_path))
    assert media(tmp_path) != listed(tmp_path)
    made = Writer(tmp_path)
    assert media(tmp_path) == listed(tmp_path)
    assert parts(tmp_path) == []
    made.writer.guard.admit(1)
    assert len(media(tmp_path)) == (1 if kind == "still" else 2)


def test_a_sidecar_of_a_killed_writer_without_its_file_is_removed(tmp_path: Path) -> None:
    Writer(tmp_path).capture()
    (sidecar,) = tmp_path.rglob("*.json")
    lonely = sidecar.with_name(f".101010.000_other_1.json{PART_SUFFIX}")
    text = sidecar.read_text().replace(sidecar.stem, "101010.000_other_1")
    lonely.write_text(text)
    sidecar.with_name(f".101010.000_third_1.json{PART_SUFFIX}").write_text(text[:200])
    Writer(tmp_path)
    assert parts(tmp_path) == []
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.skipif(
    os.geteuid() != 0, reason="NO ROOT: a small disk can't be mounted; this test was not run"
)
@pytest.mark.parametrize(
    "limits",
    ["size=16m,nr_inodes=8", "size=16m,nr_inodes=9", "size=16m,nr_inodes=24", "size=160k",
     "size=96k,nr_inodes=12"],
)  # fmt: skip
def test_a_small_disk_keeps_the_newest_captures_whole(tmp_path: Path, limits: str) -> None:
    with small_disk(tmp_path, limits) as disk:
        if disk is None:
            pytest.skip("NO ROOT: a small disk can't be mounted; this test was not run")
        root = tmp_path / "captures"
        made = Writer(root)
        for index in range(0, 600, 20):
            group = made.writer.group(request(at(index), f"e{index}", actions=("still",)))
            with suppress(CaptureError):
                made.writer.still(group, frame(index))
            assert media(root) == listed(root)
            assert parts(root) == []
        assert made.writer.guard.deleted > 5, made.failures[:3]
        assert made.results[-1].path.is_file(), made.failures[-1]
        assert len(made.results) == 30, made.failures[:3]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="NO ROOT: a small disk can't be mounted; this test was not run"
)
def test_a_disk_that_others_fill_leaves_whole_captures(tmp_path: Path) -> None:
    """The room is gone after it was found free, byte by byte and file by file."""
    with small_disk(tmp_path, "size=512k,nr_inodes=64") as disk:
        if disk is None:
            pytest.skip("NO ROOT: a small disk can't be mounted; this test was not run")
        root = tmp_path / "captures"
        made = Writer(root)
        made.writer.guard.admit = lambda bytes_: None  # type: ignore[method-assign]
        for index in range(40):
            made.capture(index)
            assert media(root) == listed(root)
            assert parts(root) == []
        assert made.failures
        made = Writer(root)
        made.capture(100)
        assert [result.kind for result in made.results] == ["still"]  # a clip asks for 4 MB
