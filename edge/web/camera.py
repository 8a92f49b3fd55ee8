"""Commands to the daemon for the open pages, which share each frame."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from edge.client import Control, NoAnswerError
from edge.messages import CaptureReply, DoneReply, SnapshotReply, StatusReply

FRAME_INTERVAL_S = 0.125  # leaves 2 of the daemon's 10 commands per second to others
STOPPING = "edge view is stopping"

T = TypeVar("T")


class StoppingError(NoAnswerError):
    """The server stops."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One frame for the page. picture: a JPEG, base64 in JSON."""

    picture: bytes
    snapshot: SnapshotReply


class Camera:
    """Sends commands to one daemon, from any task of one event loop.

    Each method raises the errors of `Control`, and StoppingError after `close`.
    """

    def __init__(self, make_control: Callable[[], Control], width_px: int) -> None:
        """width_px: largest width of a picture."""
        self._make_control = make_control
        self._width_px = width_px
        self._control: Control | None = None
        self._lock = threading.Lock()
        self._frame: asyncio.Task[View] | None = None
        self._next_s = 0.0  # monotonic time at which the next frame may be requested
        self._closed = False

    async def frame(self) -> View:
        """The next frame; calls that overlap share one."""
        if self._frame is None or self._frame.done():
            self._frame = asyncio.create_task(self._next_frame())
            self._frame.add_done_callback(_retrieve_error)
        return await _unless_stopping(asyncio.shield(self._frame))

    async def status(self) -> StatusReply:
        return await _unless_stopping(self._ask(Control.status))

    async def capture(self) -> CaptureReply:
        return await _unless_stopping(self._ask(Control.capture))

    async def reload(self) -> DoneReply:
        return await _unless_stopping(self._ask(Control.reload))

    def close(self) -> None:
        """Waits for the command in progress; commands that wait behind it are not sent."""
        self._closed = True
        with self._lock:
            if self._control is not None:
                self._control.close()

    async def _next_frame(self) -> View:
        await asyncio.sleep(self._next_s - time.monotonic())
        self._next_s = time.monotonic() + FRAME_INTERVAL_S
        snapshot, jpeg = await self._ask(
            lambda control: control.snapshot(self._width_px, sight=True)
        )
        return View(picture=jpeg, snapshot=snapshot)

    async def _ask(self, command: Callable[[Control], T]) -> T:
        """Sends a command in a thread, which holds the lock even if the task is cancelled."""

        def run() -> T:
            with self._lock:
                if self._closed:
                    raise StoppingError(STOPPING)
                if self._control is None:
                    self._control = self._make_control()
                return command(self._control)

        return await asyncio.to_thread(run)


def _retrieve_error(frame: asyncio.Task[View]) -> None:
    """Retrieves an error, so that asyncio does not log it if no request waits for the frame."""
    if not frame.cancelled():
        frame.exception()


async def _unless_stopping(answer: Awaitable[T]) -> T:
    """Turns the cancellation by a stopping server into an error that the page can show."""
    try:
        return await answer
    except asyncio.CancelledError as error:
        raise StoppingError(STOPPING) from error
