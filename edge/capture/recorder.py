"""Runs captures: the threads around the ring, the encoder and the files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge.capture.counts import Counts
from edge.capture.disk import CaptureFolder
from edge.capture.group import CaptureGroup
from edge.capture.intake import FRAME_WEIGHT, FrameIntake
from edge.capture.metadata.origin import UNKNOWN, Origin
from edge.capture.pending import PendingCaptures
from edge.capture.request import CaptureFailure, CaptureRequest, CaptureResult, LaterStill
from edge.capture.tally import TallyRow
from edge.capture.video.cutter import ClipCutter
from edge.capture.video.feed import VideoFeed
from edge.capture.writer import Blurred, CaptureWriter, none_blurred
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.service_thread import StuckThreadError
from edge.runtime.weak import weakly
from edge.runtime.worker import Job, Worker
from edge.vision.types import EncodedPacket, EncodedStream, Frame, SourceInfo

# Frames that wait for the encoder. Each may hold one of the 8 buffers of picamera2's source.
_MAX_FRAMES = 4
# Requests that wait for the encoding thread: more than any scene has objects that trigger at once.
_MAX_REQUESTS = 16
# Data that waits for a slow card: 3 s at the 10 MB/s that an SD card of class 10 guarantees.
_MAX_BACKLOG_BYTES = 32 << 20
_TIDY_INTERVAL_S = 600.0  # between two checks of `max_age_days`, which counts days


class Recorder:
    """Takes frames and requests, writes stills and clips, and reports the outcome of each request.

    Two threads: one keeps the pre-roll and encodes, one writes, so that a slow card costs no
    frames. A request within an open clip lengthens the clip and is listed in its sidecar.

    Every requested kind of capture of every event has exactly one outcome: `on_capture` receives
    the finished file (of a burst, each still), or `on_failure` the reason why there is none.
    `on_error` receives a sentence for each file that could not be written, and recording goes on.
    The callbacks run in these two threads; `on_failure` also in the one that calls `trigger` or
    `stop`. Any other exception is raised by the next `offer`, `trigger` or `stop`.

    clips: whether any rule captures clips; otherwise nothing is encoded. blurred: the boxes that
    the still of a frame, by its time, is to show blurred; the writing thread asks for them.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        *,
        on_capture: Callable[[CaptureResult], object],
        on_error: Callable[[str], object],
        on_failure: Callable[[CaptureFailure], object] = lambda _: None,
        origin: Origin = UNKNOWN,
        clips: bool = True,
        blurred: Blurred = none_blurred,
    ) -> None:
        self._folder = CaptureFolder(Path(settings.directory))
        self._clips = clips
        self._on_error = on_error
        self._counts = Counts()
        self._pending = PendingCaptures(on_capture, on_failure)
        self._room = threading.BoundedSemaphore(_MAX_REQUESTS)
        self._tidy_due_s = 0.0
        self._writer = CaptureWriter(
            settings, origin, weakly(self._finished), self._pending.fail, blurred
        )
        cutter = ClipCutter(settings, _Deferred(self._writer, weakly(self._write)))
        self._encoding = Worker("capture-encode", _MAX_FRAMES * FRAME_WEIGHT)
        self._writing = Worker("capture-write", _MAX_BACKLOG_BYTES)
        self._feed = VideoFeed(settings, cutter, self._encoding, self._counts)
        self._intake = FrameIntake(self._encoding, self._feed, self._counts)

    def start(self) -> None:
        """Starts the threads. Raises PermanentError if a file is in the place of the folder.

        A disk that can't be written yet is `trouble`: captures fail until it can.
        """
        writable = self._folder.check()
        self._encoding.start()
        self._writing.start()
        if writable:
            self._write(self._writer.guard.scan)

    def begin_stream(self, info: SourceInfo) -> None:
        """Call it each time a source has been opened, from the thread that offers its frames."""
        self._intake.begin_stream(info)

    def end_stream(self) -> None:
        """Completes an open clip, since a source was lost or has ended."""
        self._encoding.submit(self._feed.end_clip)

    def offer(self, frame: Frame, *, wait: bool = False) -> bool:
        """Never blocks, except with `wait`. Returns False if the frame was dropped."""
        if self._folder.is_due():
            self._write(self._check_folder)
        if time.monotonic() >= self._tidy_due_s:
            self._tidy_due_s = time.monotonic() + _TIDY_INTERVAL_S
            self._write(self._writer.guard.expire)
        return self._intake.offer(frame, wait=wait) if self._clips else True

    def trigger(self, request: CaptureRequest) -> bool:
        """Never blocks. Returns False for a request that is refused, whose failure is reported."""
        self._pending.add(request)
        if not self._room.acquire(blocking=False):
            self._counts.add("triggers_dropped")
            self._refuse(request, f"{_MAX_REQUESTS} requests for captures were waiting already")
            return False
        self._counts.add("triggers")
        if not self._encoding.submit(partial(self._begin, request)):
            self._room.release()
            self._refuse(request, "recording has stopped")
            return False
        return True

    def add_still(self, still: LaterStill) -> None:
        """Adds a still to an event whose request was accepted and said that stills follow.

        Never blocks: without room the picture is dropped, which is counted.
        """
        if still.frame is not None and not self._room.acquire(blocking=False):
            self._counts.add("triggers_dropped")
            still = replace(still, frame=None)
        self._encoding.submit(partial(self._add_still, still))

    def tally(self, camera: str, wall_ns: int, row: TallyRow) -> None:
        """Adds a row to the table of a day. Never blocks; a failure is reported."""
        job = partial(self._writer.tally.append, camera, wall_ns, row)
        self._writing.submit(partial(self._attempt, job))

    @property
    def trouble(self) -> str:
        """The reason why nothing can be written, from the start until it can; otherwise empty."""
        return self._folder.trouble

    @property
    def error(self) -> BaseException | None:
        """The exception that ended one of the threads, after which nothing is captured."""
        return self._encoding.error or self._writing.error

    def busy_s(self) -> float:
        """How long the slower of the two threads has been at its present job; 0 when idle."""
        return max(self._encoding.busy_s(), self._writing.busy_s())

    def stats(self) -> dict[str, int]:
        """Counters since the start, and the present lengths of the queues."""
        names = ("frames", "triggers", "stills", "clips", "errors", "frames_dropped",
                 "triggers_dropped")  # fmt: skip
        return {name: self._counts[name] for name in names} | {
            "captures_deleted": self._writer.guard.deleted,
            "bytes_kept": self._writer.guard.bytes,
            "encoding_waiting": self._encoding.waiting,
            "writing_waiting": self._writing.waiting,
        }

    def stop(self, timeout_s: float = 5.0) -> None:
        """Completes the open clip and the queued files. Requests without an outcome fail.

        Raises CaptureError if the disk needs longer than `timeout_s`.
        """
        try:
            self._stop_threads(time.monotonic() + timeout_s)
        except StuckThreadError as error:
            raise CaptureError(
                f"{error}: the disk is too slow; the next start removes the unfinished files"
            ) from error
        finally:
            self._pending.fail_all("recording stopped before it was written")

    def _stop_threads(self, deadline_s: float) -> None:
        try:
            self._encoding.submit(self._feed.end_clip)
            self._encoding.stop(max(0.0, deadline_s - time.monotonic()))
        finally:
            self._write(self._writer.end_clip)  # it is still open only if the encoding failed
            self._writing.stop(max(0.0, deadline_s - time.monotonic()))

    def _check_folder(self) -> None:
        """Runs in the writing thread, while captures can't be written."""
        if self._folder.check_again():
            self._writer.guard.scan()

    def _begin(self, request: CaptureRequest) -> None:
        """Runs in the encoding thread, after all frames up to the request's."""
        self._room.release()
        group = self._writer.group(request)
        if "still" in request.actions:
            self._begin_still(group, request)
        if "clip" in request.actions:
            self._begin_clip(group, request)

    def _begin_still(self, group: CaptureGroup, request: CaptureRequest) -> None:
        if request.still is None:
            if request.follows:
                return
            self._pending.fail("still", (request.event_id,), "no picture came with the request")
            return
        self._write(partial(self._writer.still, group, request.still), _weight(request.still))

    def _add_still(self, still: LaterStill) -> None:
        """Runs in the encoding thread, so that it comes after its request."""
        weight = 0
        if still.frame is not None:
            self._room.release()
            weight = _weight(still.frame)
        self._write(partial(self._writer.later_still, still), weight)

    def _begin_clip(self, group: CaptureGroup, request: CaptureRequest) -> None:
        reason = "no video is kept, as no rule captures clips"
        if self._clips:
            try:
                self._feed.trigger(group, request)
            except CaptureError as error:
                reason = str(error)
                self._report(error)
            else:
                return
        self._pending.fail("clip", (request.event_id,), reason)

    def _refuse(self, request: CaptureRequest, reason: str) -> None:
        for kind in request.actions:
            self._pending.fail(kind, (request.event_id,), reason)

    def _write(self, job: Job, weight: int = 0) -> None:
        """Runs a job in the writing thread, or drops it once that thread should end."""
        self._writing.submit(partial(self._attempt, job), weight, wait=True)

    def _attempt(self, job: Job) -> None:
        try:
            job()
        except CaptureError as error:
            self._report(error)

    def _report(self, error: CaptureError) -> None:
        self._counts.add("errors")
        self._on_error(str(error))

    def _finished(self, result: CaptureResult) -> None:
        self._counts.add(f"{result.kind}s")
        self._pending.finish(result)


def _weight(frame: Frame) -> int:
    """Bytes of its picture."""
    return sum(plane.nbytes for plane in frame.main.planes)


class _Deferred:
    """The cutter's sink: the same calls, made in the writing thread."""

    def __init__(self, writer: CaptureWriter, write: Callable[[Job, int], None]) -> None:
        self._writer = writer
        self._write = write

    def start_clip(
        self, group: CaptureGroup, stream: EncodedStream, pre_roll: Sequence[EncodedPacket]
    ) -> None:
        weight = sum(len(packet.data) for packet in pre_roll)
        self._write(partial(self._writer.start_clip, group, stream, pre_roll), weight)

    def join_clip(self, request: CaptureRequest) -> None:
        self._write(partial(self._writer.join_clip, request), 0)

    def feed(self, packet: EncodedPacket) -> None:
        self._write(partial(self._writer.feed, packet), len(packet.data))

    def end_clip(self) -> None:
        self._write(self._writer.end_clip, 0)
