"""The analysis thread, given finished parts."""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

import numpy as np
import pytest

from edge.config.schema import Settings
from edge.daemon.acquisition import Received
from edge.daemon.analysis import AnalysisThread
from edge.daemon.commands import Remote
from edge.runtime.mailbox import Mailbox
from edge.vision.motion import Motion
from edge.vision.pipeline import Analysis
from edge.vision.types import Detections, Frame, SourceInfo
from tests.support.captures import frame

INFO = SourceInfo("drawn", (320, 240), (160, 120), 10.0, live=True)
STILL = Motion(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.bool_),
    np.zeros((4, 4), np.uint8),
)


class Pipeline:
    """Keeps the share of the budget that it is given with each frame."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def __call__(self, frame: Frame, budget_share: float) -> Analysis:
        self.shares.append(budget_share)
        nothing = Detections.empty()
        return Analysis(frame, STILL, (), None, nothing, np.zeros(0, np.int64), (), (), ())


class Rig:
    """One analysis thread; `play` gives it frames, one after the other, and ends it."""

    def __init__(self, opened: SourceInfo | None = INFO) -> None:
        self.pipeline, self.reporter = Pipeline(), mock.MagicMock()
        self.remote = Remote(Settings(), "b007", lambda _: True)
        self.mailbox: Mailbox[Received] = Mailbox()
        self.share = 1.0
        acquisition: Any = mock.MagicMock(mailbox=self.mailbox, wait_open=lambda: opened)
        self.thread = AnalysisThread(
            acquisition, lambda _: self.pipeline, self.reporter, self.remote,  # type: ignore[arg-type, return-value]
            picture_s=10, frozen_s=10, budget_share=lambda: self.share,
        )  # fmt: skip

    def play(self, *shares: float) -> None:
        self.thread.thread.start()
        for index, share in enumerate(shares):
            self.share = share
            self.mailbox.put(Received(frame(index), 0), wait=True)
            until_counted(self.reporter, index + 1)
        self.thread.thread.stop(5)


def until_counted(reporter: Any, count: int) -> None:
    for _ in range(500):
        if reporter.count_frame.call_count >= count:
            return
        time.sleep(0.01)
    raise AssertionError("the frame was not analysed")


def test_each_frame_is_analysed_with_the_governors_share_of_that_moment() -> None:
    rig = Rig()
    rig.play(1.0, 0.5, 0.25)
    assert rig.pipeline.shares == [1.0, 0.5, 0.25]
    assert rig.reporter.call_count == 3


def test_a_paused_frame_is_counted_but_not_analysed() -> None:
    rig = Rig()
    rig.remote.pause(None)
    rig.play(1.0)
    assert rig.pipeline.shares == []
    assert rig.reporter.count_frame.call_count == 1


def test_a_source_that_did_not_open_ends_the_thread() -> None:
    rig = Rig(opened=None)
    rig.thread.thread.start()
    rig.thread.thread.join(5)
    rig.thread.thread.raise_error()
    assert rig.pipeline.shares == []


def test_an_error_of_the_pipeline_ends_the_thread_and_frees_the_source() -> None:
    rig = Rig()
    rig.reporter.side_effect = RuntimeError("broken")
    rig.thread.thread.start()
    rig.mailbox.put(Received(frame(0), 0))
    rig.thread.thread.join(5)
    with pytest.raises(RuntimeError, match="broken"):
        rig.thread.thread.raise_error()
    rig.mailbox.put(Received(frame(1), 0), wait=True)  # closed: a source must not wait for ever
