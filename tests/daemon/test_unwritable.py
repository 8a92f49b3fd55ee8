"""A daemon whose folder for captures can't be written at the start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.config.load import load
from edge.daemon.service import Service
from edge.errors import PermanentError
from edge.messages import AnyMessage, Capture, Health, Trigger
from tests.faults.child import FaultyDetector
from tests.faults.disk import small_disk

LIMIT_S = 40.0


@pytest.fixture(autouse=True)
def _faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.vision.build.Detector", FaultyDetector)  # always finds a person
    monkeypatch.setattr("edge.capture.disk.RECHECK_S", 0.1)


def service(folder: Path, captures: Path, listen: Callable[[AnyMessage], None]) -> Service:
    settings = load(None, {
        "source.uri": "synthetic:people?duration=0&width=320&height=240&fps=10",
        "capture.directory": str(captures), "capture.min_free_bytes": 0,
        "capture.post_roll_s": 0.5, "bus.endpoint": f"ipc://{folder}/e.ipc",
        "triggers": [{"name": "person", "confirm": 1, "of_last": 1, "cooldown_s": 0.5,
                      "once_per_track": False, "actions": ["still"]}],
        "health.interval_s": 0.2,
    })  # fmt: skip
    return Service(settings, listener=listen)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A folder for captures that can't be written, and a function that makes it writable."""
    with small_disk(tmp_path) as disk:
        if disk is not None:
            with disk.failing("disk-read-only"):
                yield tmp_path / "captures", disk.make_writable
            return
    link = tmp_path / "link"  # without root: a link to a disk that is not there yet
    link.symlink_to(tmp_path / "missing" / "disk")
    yield link, lambda: (tmp_path / "missing" / "disk").mkdir(parents=True)


def test_events_are_published_and_captures_begin_when_the_disk_is_writable(
    tmp_path: Path, folders: tuple[Path, Callable[[], object]]
) -> None:
    captures, make_writable = folders
    seen: list[AnyMessage] = []
    troubled = False

    def listen(message: AnyMessage) -> None:
        nonlocal troubled
        seen.append(message)
        if isinstance(message, Health) and not troubled:
            problems = [p for p in message.problems if p.startswith("captures can't be written")]
            if problems and any(isinstance(m, Capture) and m.failure for m in seen):
                troubled = True
                make_writable()
        if isinstance(message, Capture) and message.path:
            daemon.stop()

    daemon = service(tmp_path, captures, listen)
    limit = threading.Timer(LIMIT_S, daemon.stop)
    limit.start()
    daemon.run()
    limit.cancel()
    assert troubled
    assert any(isinstance(message, Trigger) for message in seen)
    assert any(isinstance(message, Capture) and message.path for message in seen)
    last = [message for message in seen if isinstance(message, Health)][-1]
    assert not any("captures can't be written" in problem for problem in last.problems)


def test_a_file_in_the_place_of_the_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PermanentError, match="captures can't be written to"):
        service(tmp_path, tmp_path / "file", lambda _: None).run()
