"""The daemon as the pages see it: asked only while somebody looks, and for all of them at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from edge.client import Control, NoAnswerError
from edge.messages import CaptureReply, DoneReply, SnapshotReply, StatusReply

FRAME_INTERVAL_S = 0.125  # the daemon takes 10 commands per second, and others come between
ENDING = "edge view is ending"

T = TypeVar("T")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One frame for the page: the JPEG is base64 in JSON."""

    picture: bytes
    snapshot: SnapshotReply


class Camera:
    """Commands to one daemon, from any task of one event loop.

    Raises what `Control` raises.
    """

    def __init__(self, make_control: Callable[[], Control], width_px: int) -> None:
        """width_px: of the pictures, at most."""
        self._make_control = make_control
        self._width_px = width_px
        self._control: Control | None = None
        self._lock = threading.Lock()
        self._frame: asyncio.Task[View] | None = None
        self._due_s = 0.0
        self._ended = False

    async def frame(self) -> View:
        """The next one; all who ask while it is on its way are given the same."""
        if self._frame is None or self._frame.done():
            self._frame = asyncio.create_task(self._next_frame())
            self._frame.add_done_callback(_heeded)
        return await _unless_ending(asyncio.shield(self._frame))

    async def status(self) -> StatusReply:
        return await _unless_ending(self._ask(Control.status))

    async def capture(self) -> CaptureReply:
        return await _unless_ending(self._ask(Control.capture))

    async def reload(self) -> DoneReply:
        return await _unless_ending(self._ask(Control.reload))

    def close(self) -> None:
        """Waits for the command that is under way; what waits behind it is not sent."""
        self._ended = True
        with self._lock:
            if self._control is not None:
                self._control.close()

    async def _next_frame(self) -> View:
        await asyncio.sleep(self._due_s - time.monotonic())
        self._due_s = time.monotonic() + FRAME_INTERVAL_S
        snapshot, jpeg = await self._ask(
            lambda control: control.snapshot(self._width_px, sight=True)
        )
        return View(picture=jpeg, snapshot=snapshot)

    async def _ask(self, act: Callable[[Control], T]) -> T:
        """In a thread, which holds the lock even if the task that waits is cancelled."""

        def asked() -> T:
            with self._lock:
                if self._ended:
                    raise NoAnswerError(ENDING)
                if self._control is None:
                    self._control = self._make_control()
                return act(self._control)

        return await asyncio.to_thread(asked)


def _heeded(frame: asyncio.Task[View]) -> None:
    """Its error is told to those who asked, if they are still there, and is no fault otherwise."""
    if not frame.cancelled():
        frame.exception()


async def _unless_ending(answer: Awaitable[T]) -> T:
    """The server cancels what it can't wait for at its end: that is an answer too."""
    try:
        return await answer
    except asyncio.CancelledError as error:
        raise NoAnswerError(ENDING) from error
