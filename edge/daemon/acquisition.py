"""The source thread: reads frames, and hands them to the recorder and the analysis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.capture.recorder import Recorder
from edge.daemon.governor import FrameGate
from edge.daemon.progress import Progress
from edge.runtime.mailbox import Mailbox
from edge.runtime.service_thread import ServiceThread
from edge.runtime.stage import Stage
from edge.runtime.times import NS_PER_S
from edge.sources.base import Source
from edge.vision.types import Frame, SourceInfo


@dataclass(frozen=True, slots=True)
class Received:
    """A frame with the monotonic time at which the daemon received it."""

    frame: Frame
    received_ns: int


class Acquisition:
    """Opens the source and reads it until it ends. Owns the source and `info`.

    thread: the source thread. opening: busy while the source is being opened. mailbox: the newest
    frame for the analysis.
    """

    def __init__(
        self,
        source: Source,
        recorder: Recorder,
        progress: Progress,
        frame_rate_share: Callable[[], float],
        *,
        wait: bool,
    ) -> None:
        """frame_rate_share: returns the share of the frames to analyse, which the governor sets.

        wait: for a recording, wait for analysis and recorder instead of dropping frames.
        """
        self._source = source
        self._recorder = recorder
        self._progress = progress
        self._frame_rate_share = frame_rate_share
        self._wait = wait
        self._gate = FrameGate()
        self._opened = threading.Event()
        self.info: SourceInfo | None = None
        self.opening = Stage()
        self.mailbox: Mailbox[Received] = Mailbox()
        self.thread = ServiceThread("source", self._run, self._unblock)

    @property
    def frames_dropped(self) -> int:
        """Frames that a newer one replaced before the analysis took them."""
        return self.mailbox.dropped

    @property
    def frames_governed(self) -> int:
        """Frames that the governor did not let through to the analysis."""
        return self._gate.skipped

    @property
    def live(self) -> bool:
        """Whether the source is open and delivers frames at its own pace."""
        return self.info is not None and self.info.live

    def wait_open(self) -> SourceInfo | None:
        """Waits until the source is open. Returns None if it can't be opened or the daemon ends."""
        self._opened.wait()
        return self.info

    def quiet_s(self) -> float:
        """Time since the last frame of a live source; 0 for a recording."""
        if not self.live:
            return 0.0
        return (time.monotonic_ns() - self._progress.received_ns) / NS_PER_S

    def _unblock(self) -> None:
        """Ends a read, a wait for the source and a wait for the analysis."""
        self._source.close()
        self.mailbox.close()

    def _run(self) -> None:
        try:
            self._open()
            while not self.thread.stopping and (frame := self._source.read()) is not None:
                self._take(frame)
        finally:
            self.mailbox.close()
            self._opened.set()

    def _open(self) -> None:
        with self.opening.work():
            self.info = self._source.open()
        self._progress.received_ns = time.monotonic_ns()
        self._opened.set()
        self._wait = self._wait and not self.info.live
        self._recorder.begin_stream(self.info)

    def _take(self, frame: Frame) -> None:
        received_ns = self._progress.received_ns = time.monotonic_ns()
        self._progress.received += 1
        passes = self._gate.passes(self._frame_rate_share())
        if passes or frame.packets:  # encoded video is useless if packets are missing
            self._recorder.offer(frame, wait=self._wait)
        if passes:
            self.mailbox.put(Received(frame, received_ns), wait=self._wait)
