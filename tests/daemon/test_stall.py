"""Stalled stages, and the recovery of a source that hangs or is frozen."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from edge.config.schema import SourceSettings
from edge.daemon.problems import Problems
from edge.daemon.recovery import MAX_PAUSE_S, SourceRecovery
from edge.daemon.stalls import StallCheck, StalledError, Watched
from edge.errors import SourceLostError
from edge.runtime.stage import Stage
from edge.sources.reconnect import Reconnecting
from edge.vision.picture import Picture, PixelFormat
from edge.vision.picture_check import PictureState
from edge.vision.types import Frame, SourceInfo


def test_a_stage_is_busy_only_while_it_works() -> None:
    stage = Stage()
    assert stage.busy_s() == 0
    with stage.work():
        time.sleep(0.01)
        assert stage.busy_s() >= 0.01
    assert stage.busy_s() == 0


def test_a_stall_is_a_problem_until_it_is_over_and_a_hang_ends_the_daemon() -> None:
    busy_s = {"inference": 0.0, "source": 100.0}
    problems = Problems()
    check = StallCheck(
        [
            Watched("inference", lambda: busy_s["inference"], "an invocation has lasted"),
            Watched("source", lambda: busy_s["source"], "no frame has come", fatal=False),
        ],
        problems,
        stall_s=5,
        hang_s=30,
    )
    check()
    assert check.stalled == ("source",)
    busy_s |= {"inference": 6.4, "source": 0.0}
    check()
    assert check.stalled == ("inference",)
    assert problems.current() == ("an invocation has lasted for 6 s",)
    busy_s["inference"] = 0.0
    check()
    assert check.stalled == problems.current() == ()
    busy_s["inference"] = 31.0
    with pytest.raises(StalledError, match="an invocation has lasted for 31 s"):
        check()


class Camera:
    """A source whose next read can be made to hang, or to give a damaged frame."""

    def __init__(self) -> None:
        self.opened = 0
        self.hang = False
        self.damaged = False
        self._closed = threading.Event()

    def open(self) -> SourceInfo:
        self.opened += 1
        self._closed.clear()
        return SourceInfo("camera", (64, 64), (64, 64), 25, live=True)

    def read(self) -> Frame | None:
        if self.hang:
            self.hang = False
            self._closed.wait(10)
            raise RuntimeError("closed during a call")
        side, self.damaged = (32 if self.damaged else 64), False
        luma = np.zeros((side, side), np.uint8)
        half = np.zeros((side // 2, side // 2), np.uint8)
        return Frame(0, 0, 0, luma, Picture(PixelFormat.I420, (luma, half, half)))

    def close(self) -> None:
        self._closed.set()


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
def source(camera: Camera, monkeypatch: pytest.MonkeyPatch) -> Reconnecting:
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.01)
    source = Reconnecting(camera, SourceSettings())
    source.open()
    return source


def test_a_source_that_hangs_in_a_read_is_closed_and_opened_again(
    camera: Camera, source: Reconnecting
) -> None:
    recover = SourceRecovery(source, stall_s=0.1, hang_s=5)
    camera.hang = True
    frames: list[Frame | None] = []
    reader = threading.Thread(target=lambda: frames.append(source.read()))
    reader.start()
    while reader.is_alive():
        recover(PictureState.GOOD)
        time.sleep(0.01)
    assert frames[0] is not None
    assert (camera.opened, source.reopened, recover.restarts) == (2, 1, 1)


def test_a_source_that_hangs_for_too_long_ends_the_daemon(
    camera: Camera, source: Reconnecting
) -> None:
    recover = SourceRecovery(source, stall_s=10, hang_s=0.1)
    camera.hang = True
    threading.Thread(target=source.read, daemon=True).start()
    recover(PictureState.GOOD)
    time.sleep(0.15)
    with pytest.raises(StalledError, match="the source has hung"):
        recover(PictureState.GOOD)
    source.close()


def test_a_frozen_picture_restarts_the_source_with_growing_pauses(
    camera: Camera, source: Reconnecting
) -> None:
    now_s, restarts = 100.0, []
    recover = SourceRecovery(source, stall_s=5, hang_s=30, now_s=lambda: now_s)
    for _ in range(400):
        before = camera.opened
        recover(PictureState.FROZEN)
        time.sleep(0.001)
        source.read()
        if camera.opened > before:
            restarts.append(now_s)
        now_s += 5
    assert len(restarts) <= 9
    pauses = np.diff(restarts)
    assert (pauses[1:] >= pauses[:-1]).all()
    assert pauses[-1] >= MAX_PAUSE_S


def test_an_unexpected_error_of_a_source_is_not_hidden(
    camera: Camera, source: Reconnecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Frame:
        raise ValueError("a bug")

    monkeypatch.setattr(camera, "read", fail)
    with pytest.raises(ValueError, match="a bug"):
        source.read()


def test_a_damaged_frame_is_reported_and_not_delivered(
    camera: Camera, source: Reconnecting
) -> None:
    events: list[str] = []
    source._on_event = events.append
    assert source.read() is not None
    camera.damaged = True
    frame = source.read()
    assert frame is not None
    assert frame.luma.shape == (64, 64)
    assert "gave a damaged frame or changed the size of its picture" in events[0]


def test_a_lost_source_does_not_count_as_a_call_that_hangs(
    camera: Camera, source: Reconnecting
) -> None:
    def lost() -> Frame:
        raise SourceLostError("gone")

    camera.read = lost  # type: ignore[method-assign]
    threading.Thread(target=source.read, daemon=True).start()
    time.sleep(0.1)
    assert source.answering_s() < 0.05
    source.close()
