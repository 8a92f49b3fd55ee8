"""A live source that is not there yet, that is lost, or that changes the size of its picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.sources import open_source
from edge.sources.reconnect import Reconnecting
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import Frame, SourceInfo

LARGE, SMALL = (64, 48), (32, 24)
GONE = None


class Camera:
    """Gives frames of the listed sizes; `GONE` is a loss. It describes itself by its next frame.

    refusals: number of attempts to open it that fail. described: a size that it always claims.
    """

    def __init__(
        self,
        *sizes: tuple[int, int] | None,
        refusals: int = 0,
        described: tuple[int, int] | None = None,
    ) -> None:
        self.sizes = list(sizes)
        self.refusals = refusals
        self.described = described
        self.opened_s: list[float] = []

    def open(self) -> SourceInfo:
        self.opened_s.append(time.monotonic())
        if self.refusals:
            self.refusals -= 1
            raise SourceLostError("connection refused")
        size = self.described or next(size for size in self.sizes if size)
        return SourceInfo("camera", size, size, 10, live=True)

    def read(self) -> Frame | None:
        if not self.sizes:
            return None
        if (size := self.sizes.pop(0)) is GONE:
            raise SourceLostError("gone")
        luma = np.zeros((size[1], size[0]), np.uint8)
        half = np.zeros((size[1] // 2, size[0] // 2), np.uint8)
        return Frame(0, 0, 0, luma, Picture(PixelFormat.I420, (luma, half, half)))

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.reconnect.FIRST_PAUSE_S", 0.02)


def sizes_read(source: Reconnecting) -> Iterator[tuple[int, int]]:
    while (frame := source.read()) is not None:
        yield frame.main.width, frame.main.height


def test_a_source_that_comes_back_with_another_size_goes_on_with_it() -> None:
    resumed: list[SourceInfo] = []
    source = Reconnecting(Camera(LARGE, GONE, SMALL, SMALL), SourceSettings(), None, resumed.append)
    assert source.open().main_size == LARGE
    assert list(sizes_read(source)) == [LARGE, SMALL, SMALL]
    assert [info.main_size for info in resumed] == [SMALL]


@pytest.mark.parametrize("sizes", [(LARGE, SMALL), (SMALL, LARGE)])
def test_another_size_in_the_middle_reopens_the_source(sizes: tuple[tuple[int, int], ...]) -> None:
    before, after = sizes
    events: list[str] = []
    camera = Camera(before, before, after, after, after)
    source = Reconnecting(camera, SourceSettings(), events.append)
    source.open()
    assert list(sizes_read(source)) == [before, before, after, after]
    assert len(camera.opened_s) == 2
    assert "changed the size" in events[0]


def test_a_description_of_another_size_than_the_first_frame_does_not_reopen_it() -> None:
    camera = Camera(SMALL, SMALL, described=LARGE)
    source = Reconnecting(camera, SourceSettings())
    source.open()
    assert list(sizes_read(source)) == [SMALL, SMALL]
    assert len(camera.opened_s) == 1


def test_a_picture_that_alternates_between_sizes_is_opened_less_and_less_often() -> None:
    # After each change the camera is opened at a frame of the size that comes next.
    camera = Camera(*[LARGE, SMALL, SMALL, LARGE] * 8, LARGE)
    source = Reconnecting(camera, SourceSettings(retry_max_s=0.2))
    source.open()
    list(sizes_read(source))
    pauses_s = np.diff(camera.opened_s)
    assert len(pauses_s) > 5
    assert pauses_s[:3].max() < 0.15
    assert pauses_s[4:].min() > 0.1


def test_losses_do_not_lengthen_the_pauses() -> None:
    camera = Camera(*[LARGE, GONE] * 8, LARGE)
    source = Reconnecting(camera, SourceSettings())
    source.open()
    list(sizes_read(source))
    assert np.diff(camera.opened_s).max() < 0.2


def test_the_first_opening_waits_and_says_why() -> None:
    camera = Camera(LARGE, refusals=4)
    source = Reconnecting(camera, SourceSettings(), waits=True)
    opener = threading.Thread(target=source.open)
    opener.start()
    reasons = set()
    while opener.is_alive():
        reasons.add(source.waiting)
        time.sleep(0.005)
    assert "connection refused" in reasons
    assert source.waiting == ""
    assert len(camera.opened_s) == 5


def test_without_waiting_the_error_is_raised_at_once() -> None:
    with pytest.raises(SourceLostError, match="refused"):
        Reconnecting(Camera(LARGE, refusals=1), SourceSettings()).open()
    with pytest.raises(SourceLostError, match="video99"):
        open_source(SourceSettings(uri="/dev/video99")).open()


def test_a_close_ends_the_wait() -> None:
    source = Reconnecting(Camera(LARGE, refusals=10**6), SourceSettings(), waits=True)
    threading.Timer(0.1, source.close).start()
    with pytest.raises(SourceLostError, match="closed"):
        source.open()


def test_a_source_that_can_never_work_is_not_waited_for() -> None:
    camera = Camera(LARGE)
    camera.open = lambda: (_ for _ in ()).throw(SourceError("no video"))  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="no video"):
        Reconnecting(camera, SourceSettings(), waits=True).open()
