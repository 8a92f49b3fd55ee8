"""The source thread with a scripted source and a real recorder."""

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

INFO = SourceInfo("drawn", (320, 240), (160, 120), 10.0, live=True)


class ScriptedSource:
    """A source that gives its frames without a pause, then ends or waits until it is closed."""

    def __init__(self, count: int, *, ends: bool = True, error: Exception | None = None) -> None:
        self._frames = iter([frame(n) for n in range(count)])
        self._ends, self._error = ends, error
        self._closed = threading.Event()

    def open(self) -> SourceInfo:
        if self._error is not None:
            raise self._error
        return INFO

    def read(self) -> Frame | None:
        next_frame = next(self._frames, None)
        if next_frame is None and not self._ends:
            self._closed.wait(10)
        return next_frame

    def close(self) -> None:
        self._closed.set()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    settings = CaptureSettings(directory=str(tmp_path), min_free_bytes=0)
    recorder = Recorder(settings, on_capture=lambda _: None, on_error=lambda _: None, clips=False)
    recorder.start()
    yield recorder
    recorder.stop()


def acquisition_of(source: ScriptedSource, recorder: Recorder, share: float = 1.0) -> Acquisition:
    return Acquisition(source, recorder, Progress(), lambda: share, lambda _: None, wait=False)


def test_the_analysis_receives_the_newest_frame_and_older_ones_are_counted(
    recorder: Recorder,
) -> None:
    acquisition = acquisition_of(ScriptedSource(5), recorder)
    acquisition.thread.start()
    acquisition.thread.join(5)
    assert acquisition.wait_open() == INFO
    newest = acquisition.mailbox.take()
    assert newest is not None
    assert newest.frame.index == 4
    assert acquisition.frames_dropped == 4
    assert acquisition.mailbox.take() is None


def test_frames_that_the_governor_holds_back_do_not_reach_the_analysis(recorder: Recorder) -> None:
    acquisition = acquisition_of(ScriptedSource(8), recorder, share=0.25)
    acquisition.thread.start()
    acquisition.thread.join(5)
    assert acquisition.frames_governed == 6
    assert acquisition.frames_dropped == 1


def test_a_source_that_cannot_be_opened_ends_the_thread_and_wakes_the_analysis(
    recorder: Recorder,
) -> None:
    acquisition = acquisition_of(ScriptedSource(0, error=SourceError("no such camera")), recorder)
    acquisition.thread.start()
    assert acquisition.wait_open() is None
    acquisition.thread.join(5)
    with pytest.raises(SourceError, match="no such camera"):
        acquisition.thread.raise_error()
    assert acquisition.quiet_s() == 0


def test_a_stop_ends_a_read_that_waits_for_a_frame(recorder: Recorder) -> None:
    acquisition = acquisition_of(ScriptedSource(1, ends=False), recorder)
    acquisition.thread.start()
    assert acquisition.mailbox.take(5) is not None
    assert acquisition.live
    acquisition.thread.stop(5)
    assert not acquisition.thread.alive
    assert acquisition.thread.error is None
