"""Opens a live source again after it was lost, so that its reader gets frames without end."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable

from edge.config.schema import SourceSettings
from edge.errors import EdgeError, SourceLostError
from edge.runtime.stage import Stage
from edge.sources.base import Source
from edge.vision.sizes import SizeWatch
from edge.vision.types import Frame, SourceInfo

FIRST_PAUSE_S = 1.0  # doubled after each failed attempt, up to source.retry_max_s
JITTER = 0.2  # so that a hundred cameras don't connect in the same instant
# Chosen: a source whose picture has kept its size for this long does not alternate between sizes.
STEADY_S = 60.0

OnEvent = Callable[[str], None]
OnResume = Callable[[SourceInfo], None]


class Reconnecting:
    """Wraps a live source. After a loss, indices continue and times don't go back.

    waits: the first `open` waits for a source that may work later; otherwise it is tried once, and
    its error is raised. A source may come back with another size of picture. A frame of another
    size in the middle is damage or a new setting of the camera: the source is opened again, after
    longer and longer pauses if this happens often.

    on_event: receives one sentence for each loss, restart and return. on_resume: receives the
    source's new information when it is back, as its packets are a new stream. Both run in the
    thread that reads, except `on_event` for a restart. name: the source's, for people. reopened:
    number of returns. waiting: the reason why the last attempt to open the source failed; empty
    while it is open.
    """

    def __init__(
        self,
        source: Source,
        settings: SourceSettings,
        on_event: OnEvent | None = None,
        on_resume: OnResume | None = None,
        *,
        waits: bool = False,
    ) -> None:
        self._source = source
        self._settings = settings
        self._on_event = on_event or (lambda _: None)
        self.on_resume = on_resume or (lambda _: None)
        self._waits = waits
        self._pauses = _Pauses(settings.retry_max_s)
        self._restarting = threading.Event()
        self._call = Stage()
        self._sizes: SizeWatch | None = None
        self._numbering = _Numbering()
        self.reopened = 0
        self.waiting = ""

    def open(self) -> SourceInfo:
        """Opens the wrapped source, and waits for it if it should.

        Raises SourceLostError if it can't be opened now or `close` ended the wait, and at once
        the error of a source that can never work.
        """
        self._pauses.begin()
        while True:
            try:
                info = self._opened()
            except SourceLostError as error:
                if not self._waits:
                    raise
                self.waiting = str(error)
            else:
                self._pauses.opened()
                return info
            self._source.close()
            if not self._pauses.wait():
                raise SourceLostError(f"source {self.name} was closed")

    def read(self) -> Frame | None:
        """The next frame, also after losses; None once closed."""
        while not self._pauses.ended:
            try:
                frame = self._read()
            except SourceLostError as error:
                if self._pauses.ended:
                    return None
                self._on_event(str(error))
                self._reopen(error)
                continue
            return None if frame is None else self._numbering.continued(frame)
        return None

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def time_jumps(self) -> int:
        return int(getattr(self._source, "time_jumps", 0))

    def answering_s(self) -> float:
        """How long the present call of the source has taken so far; 0 between calls.

        A wait for the next picture that is due is no part of it.
        """
        return max(0.0, self._call.busy_s() - self._settings.snapshot_pause_s)

    def restart(self, reason: str) -> None:
        """Treats the source as lost, from another thread. reason: a sentence for `on_event`.

        A source that hangs in a call is closed at once, which may take as long as that call.
        """
        self._on_event(reason)
        self._restarting.set()
        if self._call.busy_s() > 0:
            self._source.close()

    def close(self) -> None:
        """Closes the source, and ends a wait for it."""
        self._pauses.end()
        self._source.close()

    def _opened(self) -> SourceInfo:
        """One attempt. An error of any kind while it is being restarted counts as a loss."""
        self._restarting.clear()
        self._sizes = None
        try:
            with self._call.work():
                info = self._source.open()
        except Exception as error:
            if isinstance(error, EdgeError) or not self._is_interrupted():
                raise
            raise SourceLostError(f"source {self.name} was closed") from error
        self.waiting = ""
        return info

    def _read(self) -> Frame | None:
        try:
            with self._call.work():
                frame = self._source.read()
        except Exception as error:  # a source may raise anything when it is closed during a call
            if not self._is_interrupted():
                raise
            raise SourceLostError(f"source {self.name} was closed") from error
        if self._restarting.is_set():
            raise SourceLostError(f"source {self.name} is being opened again")
        if frame is not None:
            self._check_size(frame)
        return frame

    def _is_interrupted(self) -> bool:
        """Whether another thread has closed the source."""
        return self._restarting.is_set() or self._pauses.ended

    def _check_size(self, frame: Frame) -> None:
        """The first frame has the true size, whatever the source's description says."""
        if self._sizes is None:
            self._sizes = SizeWatch.of_frame(frame)
        elif self._sizes.changed(frame):
            raise _AnotherSizeError(
                f"source {self.name} gave a damaged frame or changed the size of its picture, "
                "and is opened again"
            )

    def _reopen(self, error: SourceLostError) -> None:
        """Tries until the source is back or closed. Permanent errors too: it has worked before."""
        another_size = isinstance(error, _AnotherSizeError)
        if another_size and self._pauses.since_opened_s() < STEADY_S:
            if self._pauses.grown:
                self.waiting = f"source {self.name} changes the size of its picture all the time"
        else:
            self._pauses.reset()
        self._numbering.lost()
        while True:
            self._source.close()
            if not self._pauses.wait():
                return
            try:
                info = self._opened()
            except EdgeError as failure:
                self.waiting = str(failure)
                continue
            break
        self._pauses.opened(keep=another_size)
        self.reopened += 1
        self.on_resume(info)
        self._on_event(f"source {self.name} is back")


class _AnotherSizeError(SourceLostError):
    """A frame has another size than the one before it."""


class _Pauses:
    """The pauses before attempts, each twice as long as the one before; another thread ends them.

    ended: whether the source is closed.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._ended = threading.Event()
        self._opened_s = -float("inf")
        self.reset()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def grown(self) -> bool:
        """Whether the next pause is longer than the first."""
        return self._next_s > FIRST_PAUSE_S

    def begin(self) -> None:
        self._ended.clear()
        self.reset()

    def reset(self) -> None:
        """The next pause is the shortest again."""
        self._next_s = FIRST_PAUSE_S

    def opened(self, *, keep: bool = False) -> None:
        """An attempt was successful. keep: the next pause does not become shorter."""
        self._opened_s = time.monotonic()
        if not keep:
            self.reset()

    def since_opened_s(self) -> float:
        return time.monotonic() - self._opened_s

    def wait(self) -> bool:
        """Returns False if it was ended."""
        jittered_s = self._next_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        self._next_s = min(2 * self._next_s, self._longest_s)
        return not self._ended.wait(min(jittered_s, self._longest_s))

    def end(self) -> None:
        self._ended.set()


class _Numbering:
    """Continues indices and times over losses."""

    def __init__(self) -> None:
        self._offset = self._next_index = self._last_ns = 0

    def lost(self) -> None:
        self._offset = self._next_index

    def continued(self, frame: Frame) -> Frame:
        self._last_ns = max(self._last_ns, frame.timestamp_ns)
        self._next_index = frame.index + self._offset + 1
        if self._offset == 0 and self._last_ns == frame.timestamp_ns:
            return frame
        return dataclasses.replace(frame, index=self._next_index - 1, timestamp_ns=self._last_ns)
