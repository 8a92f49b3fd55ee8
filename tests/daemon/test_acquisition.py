"""The source thread, given finished parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.capture.recorder import Recorder
from edge.config.schema import CaptureSettings
from edge.daemon.acquisition import Acquisition
from edge.daemon.progress import Progress
from edge.errors import SourceError
from edge.vision.types import Frame, SourceInfo
from tests.support.captures import frame

INFO = SourceInfo("drawn", (320, 240), (320, 240), 10.0, live=True)


class Scripted:
    """A source that gives its frames at once, then ends or waits to be closed."""

    def __init__(self, count: int, *, ends: bool = True, error: Exception | None = None) -> None:
        self._frames = iter([frame(n) for n in range(count)])
        self._ends, self._error = ends, error
        self._closed = threading.Event()

    def open(self) -> SourceInfo:
        if self._error is not None:
            raise self._error
        return INFO

    def read(self) -> Frame | None:
        given = next(self._frames, None)
        if given is None and not self._ends:
            self._closed.wait(10)
        return given

    def close(self) -> None:
        self._closed.set()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    settings = CaptureSettings(directory=str(tmp_path), min_free_bytes=0)
    made = Recorder(settings, on_capture=lambda _: None, on_error=lambda _: None, clips=False)
    made.start()
    yield made
    made.stop()


def acquisition(source: Scripted, recorder: Recorder, share: float = 1.0) -> Acquisition:
    return Acquisition(source, recorder, Progress(), lambda: share, wait=False)


def test_the_analysis_gets_the_newest_frame_and_the_others_are_counted(recorder: Recorder) -> None:
    acquired = acquisition(Scripted(5), recorder)
    acquired.thread.start()
    acquired.thread.join(5)
    assert acquired.wait_open() == INFO
    newest = acquired.mailbox.take()
    assert newest is not None
    assert newest.frame.index == 4
    assert acquired.frames_dropped == 4
    assert acquired.mailbox.take() is None


def test_the_governor_holds_frames_back_from_the_analysis(recorder: Recorder) -> None:
    acquired = acquisition(Scripted(8), recorder, share=0.25)
    acquired.thread.start()
    acquired.thread.join(5)
    assert acquired.frames_governed == 6
    assert acquired.frames_dropped == 1


def test_a_source_that_cannot_be_opened_ends_the_thread_and_wakes_the_analysis(
    recorder: Recorder,
) -> None:
    acquired = acquisition(Scripted(0, error=SourceError("no such camera")), recorder)
    acquired.thread.start()
    assert acquired.wait_open() is None
    acquired.thread.join(5)
    with pytest.raises(SourceError, match="no such camera"):
        acquired.thread.raise_error()
    assert acquired.quiet_s() == 0


def test_stopping_ends_a_read_that_waits(recorder: Recorder) -> None:
    acquired = acquisition(Scripted(1, ends=False), recorder)
    acquired.thread.start()
    assert acquired.mailbox.take(5) is not None
    assert acquired.live
    acquired.thread.stop(5)
    assert not acquired.thread.alive
    assert acquired.thread.error is None
