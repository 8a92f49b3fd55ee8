"""Captures as they happen: the threads around the ring, the encoder and the files."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from edge.capture.cutter import ClipCutter
from edge.capture.disk import check_directory
from edge.capture.request import CaptureRequest, CaptureResult
from edge.capture.writer import CaptureGroup, CaptureWriter
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError
from edge.runtime.service_thread import StuckThreadError
from edge.runtime.worker import Job, Worker
from edge.vision.types import EncodedPacket, EncodedStream, Frame, SourceInfo

_MAX_FRAMES = 4  # each may hold a camera buffer, of which there are few
_MAX_TRIGGERS = 16
_MAX_BACKLOG_BYTES = 32 << 20  # how far a slow card may be behind
_TIDY_INTERVAL_S = 600.0


class Recorder:
    """Takes frames and triggers, writes stills and clips, and tells of each finished file.

    Two threads: one encodes and keeps the pre-roll, one writes, so that a card that stalls costs
    no frames. A frame that finds the queue full is dropped and counted, so the newest goes and
    what waits is without gaps; the clip then shows the frame before for longer. Of a source's own
    packets, all up to the next key frame go with the first. A trigger within an open clip
    lengthens it and is listed in its sidecar.

    `on_capture` and `on_error` are called from these threads. A file that can't be written is one
    sentence to `on_error`, and recording goes on. Any other exception comes out of the next
    `offer`, `trigger` or `stop`.

    clips: whether any rule wants clips; if not, nothing is ever encoded.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        *,
        on_capture: Callable[[CaptureResult], None],
        on_error: Callable[[str], None],
        model: str = "",
        clips: bool = True,
    ) -> None:
        self._directory = Path(settings.directory)
        self._model = model
        self._clips = clips
        self._on_capture = on_capture
        self._on_error = on_error
        self._counts: Counter[str] = Counter()
        self._counts_lock = threading.Lock()
        self._triggers_waiting = 0
        self._passthrough = False
        self._needs_key_frame = False
        self._tidy_due_s = 0.0
        self._writer = CaptureWriter(settings, self._captured)
        self._cutter = ClipCutter(settings, _Deferred(self._writer, self._write))
        self._encoding = Worker("capture-encode", _MAX_FRAMES)
        self._writing = Worker("capture-write", _MAX_BACKLOG_BYTES)

    def start(self) -> None:
        """Raises PermanentError where captures can't be written at all."""
        check_directory(self._directory)
        self._encoding.start()
        self._writing.start()
        self._write(self._writer.guard.scan)

    def begin_stream(self, info: SourceInfo) -> None:
        """Each time a source has been opened, from the thread that offers its frames."""
        self._passthrough = info.encoded is not None
        self._needs_key_frame = False
        self._encoding.submit(partial(self._cutter.begin_stream, info.fps, info.encoded))

    def end_stream(self) -> None:
        """A source was lost or has ended: an open clip is completed now."""
        self._encoding.submit(self._cutter.end_clip)

    def offer(self, frame: Frame, *, wait: bool = False) -> bool:
        """Never blocks, unless told to `wait` instead of dropping. False where it was dropped."""
        if time.monotonic() >= self._tidy_due_s:
            self._tidy_due_s = time.monotonic() + _TIDY_INTERVAL_S
            self._write(self._writer.guard.expire)
        if not self._clips:
            return True
        if self._passthrough:
            return self._offer_packets(frame.packets, wait)
        taken = self._encoding.submit(partial(self._cutter.frame, frame), 1, wait=wait)
        self._count("frames" if taken else "frames_dropped")
        return taken

    def trigger(self, request: CaptureRequest) -> bool:
        """Never blocks. False where too many triggers were waiting and this one was dropped."""
        with self._counts_lock:
            taken = self._triggers_waiting < _MAX_TRIGGERS
            self._triggers_waiting += taken
        self._count("triggers" if taken else "triggers_dropped")
        return taken and self._encoding.submit(partial(self._trigger, request))

    @property
    def error(self) -> BaseException | None:
        """What ended one of the threads, so that no more captures come of it."""
        return self._encoding.error or self._writing.error

    def busy_s(self) -> float:
        """How long the slower of the two threads has been at its present job; 0 when idle."""
        return max(self._encoding.busy_s(), self._writing.busy_s())

    def stats(self) -> dict[str, int]:
        """Counters since the start, and what waits now."""
        names = ("frames", "triggers", "stills", "clips", "errors")
        with self._counts_lock:
            counts = {name: self._counts[name] for name in names}
            counts |= {f"{name}_dropped": self._counts[f"{name}_dropped"] for name in names[:2]}
        return counts | {
            "captures_deleted": self._writer.guard.deleted,
            "bytes_kept": self._writer.guard.bytes,
            "encoding_waiting": self._encoding.waiting,
            "writing_waiting": self._writing.waiting,
        }

    def stop(self, timeout_s: float = 5.0) -> None:
        """Completes what is open. Raises CaptureError where the disk needs longer than this."""
        try:
            self._stop_threads(time.monotonic() + timeout_s)
        except StuckThreadError as error:
            raise CaptureError(
                f"{error}: the disk is too slow, and files in the making stay unfinished"
            ) from error

    def _stop_threads(self, deadline_s: float) -> None:
        try:
            self._encoding.submit(self._cutter.end_clip)
            self._encoding.stop(max(0.0, deadline_s - time.monotonic()))
        finally:
            self._write(self._writer.end_clip)  # it is still open only if the encoding failed
            self._writing.stop(max(0.0, deadline_s - time.monotonic()))

    def _offer_packets(self, packets: Sequence[EncodedPacket], wait: bool) -> bool:
        """After a loss nothing can be decoded before the next key frame."""
        if self._needs_key_frame:
            keys = [index for index, packet in enumerate(packets) if packet.keyframe]
            packets = packets[keys[0] :] if keys else ()
            self._needs_key_frame = not keys
        if not packets:
            taken = not self._needs_key_frame
        else:
            taken = self._encoding.submit(partial(self._cutter.packets, packets), 1, wait=wait)
            self._needs_key_frame = not taken
        self._count("frames" if taken else "frames_dropped")
        return taken

    def _trigger(self, request: CaptureRequest) -> None:
        with self._counts_lock:
            self._triggers_waiting -= 1
        group = CaptureGroup(request, self._model)
        if "still" in request.actions and request.still is not None:
            weight = sum(plane.nbytes for plane in request.still.main.planes)
            self._write(partial(self._writer.still, group, request.still), weight)
        if "clip" in request.actions and self._clips:
            self._attempt(partial(self._cutter.trigger, group, request))

    def _write(self, job: Job, weight: int = 0) -> None:
        self._writing.submit(partial(self._attempt, job), weight, wait=True)

    def _attempt(self, job: Job) -> None:
        try:
            job()
        except CaptureError as error:
            self._count("errors")
            self._on_error(str(error))

    def _captured(self, result: CaptureResult) -> None:
        self._count(f"{result.kind}s")
        self._on_capture(result)

    def _count(self, name: str) -> None:
        with self._counts_lock:
            self._counts[name] += 1


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
