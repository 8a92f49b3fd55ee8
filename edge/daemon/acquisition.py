"""The source thread: reads frames, and hands them to the recorder and the analysis."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.capture.recorder import Recorder
from edge.daemon.governor import FrameGate
from edge.daemon.progress import Progress
from edge.errors import SourceLostError
from edge.runtime.mailbox import Mailbox
from edge.runtime.service_thread import ServiceThread
from edge.runtime.stage import Stage
from edge.runtime.times import NS_PER_S
from edge.sources.base import Source
from edge.sources.reconnect import Reconnecting
from edge.vision.sizes import SizeWatch, size_change
from edge.vision.types import Frame, SourceInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A frame with the monotonic time at which the daemon received it."""

    frame: Frame
    received_ns: int


class Acquisition:
    """Opens the source and reads it until it ends. Owns the source and `info`.

    A frame of another size than before begins a new stream for the recorder, as a return of the
    source does.

    thread: the source thread. mailbox: the newest frame for the analysis.
    """

    def __init__(
        self,
        source: Source,
        recorder: Recorder,
        progress: Progress,
        frame_rate_share: Callable[[], float],
        timelapse: Callable[[Frame], None],
        *,
        wait: bool,
    ) -> None:
        """frame_rate_share: returns the share of the frames to analyse, which the governor sets.

        timelapse: requests the captures that are due at each frame.
        wait: for a recording, wait for analysis and recorder instead of dropping frames.
        """
        self._source = source
        self._recorder = recorder
        self._progress = progress
        self._timelapse = timelapse
        self._wait = wait
        self._gate = FrameGate(frame_rate_share)
        self._opened = threading.Event()
        self._sizes = SizeWatch((0, 0), (0, 0))
        self._opening = Stage()
        self.info: SourceInfo | None = None
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

    @property
    def waiting(self) -> str:
        """The reason why the source can't be opened at present, while it is tried again."""
        return self._source.waiting if isinstance(self._source, Reconnecting) else ""

    def opening_s(self) -> float:
        """How long the present attempt to open the source has lasted; 0 between attempts."""
        busy_s = self._opening.busy_s()
        if isinstance(self._source, Reconnecting):
            return min(busy_s, self._source.answering_s())
        return busy_s

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

    def resume(self, info: SourceInfo) -> None:
        """A lost source is back; the source thread calls it from inside its read."""
        if info.main_size != self._sizes.main_size:
            log.warning("%s", size_change(info.name, self._sizes.main_size, info.main_size))
        self._begin_stream(info)

    def _run(self) -> None:
        try:
            if self._open():
                while not self.thread.stopping and (frame := self._source.read()) is not None:
                    self._take(frame)
        finally:
            self.mailbox.close()
            self._opened.set()

    def _open(self) -> bool:
        """Whether the source is open; False if the daemon stops before."""
        if isinstance(self._source, Reconnecting):
            log.info("waiting for %s", self._source.name)
        try:
            with self._opening.work():
                info = self._source.open()
        except SourceLostError:
            if self.thread.stopping:
                return False
            raise
        self._wait = self._wait and not info.live
        self._progress.received_ns = time.monotonic_ns()
        self._begin_stream(info)
        self._opened.set()
        width, height = info.main_size
        log.info("watching %s, %dx%d pixels", info.name, width, height)
        return True

    def _begin_stream(self, info: SourceInfo) -> None:
        self.info, self._sizes = info, SizeWatch.of(info)
        self._recorder.begin_stream(info)

    def _take(self, frame: Frame) -> None:
        received_ns = self._progress.received_ns = time.monotonic_ns()
        self._progress.received += 1
        if self._sizes.changed(frame):
            self._follow()
        passes = self._gate.passes()
        if passes or frame.packets:  # encoded video is useless if packets are missing
            self._recorder.offer(frame, wait=self._wait)
            self._timelapse(frame)
        if passes:
            self.mailbox.put(Received(frame, received_ns), wait=self._wait)

    def _follow(self) -> None:
        """Clips are encoded from here on: which of the packets are of the new size is not known."""
        assert self.info is not None
        log.warning("%s", self._sizes.sentence(self.info.name))
        sizes = self._sizes
        self._begin_stream(
            replace(self.info, main_size=sizes.main_size, luma_size=sizes.luma_size, encoded=None)
        )
