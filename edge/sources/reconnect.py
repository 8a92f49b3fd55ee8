"""Opens a live source again after it was lost, so that its reader gets frames without end."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable

from edge.config.schema import SourceSettings
from edge.errors import EdgeError, SourceLostError
from edge.runtime.stage import Stage
from edge.sources.base import Source
from edge.vision.types import Frame, SourceInfo

FIRST_PAUSE_S = 1.0  # doubled after each failed attempt, up to source.retry_max_s
JITTER = 0.2  # so that a hundred cameras don't connect in the same instant

OnEvent = Callable[[str], None]
OnResume = Callable[[SourceInfo], None]


class Reconnecting:
    """Wraps a live source. After a loss, indices continue and times don't go back.

    The first `open` is tried once, so that a wrong address is reported at once. A source that comes
    back with another size of picture ends in SourceLostError, as the stages work with one size.
    A frame of another size is damage, and the source counts as lost.

    on_event: receives one sentence for each loss, restart and return. on_resume: receives the
    source's new information when it is back, as its packets are a new stream. Both run in the
    thread that reads, except `on_event` for a restart. reopened: number of returns.
    """

    def __init__(
        self,
        source: Source,
        settings: SourceSettings,
        on_event: OnEvent | None = None,
        on_resume: OnResume | None = None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._on_event = on_event or (lambda _: None)
        self._on_resume = on_resume or (lambda _: None)
        self._closed = threading.Event()
        self._restarting = threading.Event()
        self._call = Stage()
        self.reopened = 0
        self._info: SourceInfo | None = None
        self._index_offset = 0
        self._next_index = 0
        self._last_ns = 0

    def open(self) -> SourceInfo:
        """Opens the wrapped source, once. Raises its errors."""
        self._closed.clear()
        self._info = self._source.open()
        return self._info

    def read(self) -> Frame | None:
        """The next frame, also after losses; None once closed."""
        while not self._closed.is_set():
            try:
                frame = self._read()
            except SourceLostError as error:
                if self._closed.is_set():
                    return None
                self._on_event(str(error))
                self._reopen()
                continue
            return None if frame is None else self._continued(frame)
        return None

    def answering_s(self) -> float:
        """How long the present call of the source has taken so far; 0 between calls."""
        return self._call.busy_s()

    def restart(self, reason: str) -> None:
        """Treats the source as lost, from another thread. reason: a sentence for `on_event`.

        A source that hangs in a call is closed at once, which may take as long as that call.
        """
        self._on_event(reason)
        self._restarting.set()
        if self.answering_s() > 0:
            self._source.close()

    def close(self) -> None:
        """Closes the source, and ends a wait for its return."""
        self._closed.set()
        self._source.close()

    def _read(self) -> Frame | None:
        assert self._info is not None
        try:
            with self._call.work():
                frame = self._source.read()
        except Exception as error:  # a source may raise anything when it is closed during a call
            if not self._restarting.is_set() and not self._closed.is_set():
                raise
            raise SourceLostError(f"source {self._info.name} was closed") from error
        if self._restarting.is_set():
            raise SourceLostError(f"source {self._info.name} is being opened again")
        size = None if frame is None else (frame.main.width, frame.main.height)
        if size not in (None, self._info.main_size):
            raise SourceLostError(f"source {self._info.name} gave a damaged frame")
        return frame

    def _reopen(self) -> None:
        self._restarting.clear()
        pause_s = FIRST_PAUSE_S
        self._index_offset = self._next_index
        while True:
            self._source.close()
            jittered_s = pause_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            if self._closed.wait(min(jittered_s, self._settings.retry_max_s)):
                return
            try:
                with self._call.work():
                    info = self._source.open()
            except EdgeError as error:  # permanent errors too, as it has worked before
                self._on_event(str(error))  # again and again, so that it stays in `health`
                pause_s = min(2 * pause_s, self._settings.retry_max_s)
                continue
            break
        assert self._info is not None
        if info.main_size != self._info.main_size:
            now, before = ("x".join(map(str, one.main_size)) for one in (info, self._info))
            raise SourceLostError(
                f"source {info.name} came back with {now} pixels instead of {before}"
            )
        self.reopened += 1
        self._on_resume(info)
        self._on_event(f"source {info.name} is back")

    def _continued(self, frame: Frame) -> Frame:
        self._last_ns = max(self._last_ns, frame.timestamp_ns)
        self._next_index = frame.index + self._index_offset + 1
        if self._index_offset == 0 and self._last_ns == frame.timestamp_ns:
            return frame
        return dataclasses.replace(frame, index=self._next_index - 1, timestamp_ns=self._last_ns)
