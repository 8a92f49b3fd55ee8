"""What the daemon does on command: the side of `edge.bus.control.Commands` that has a camera.

The control thread calls the commands. The analysis thread shows it each frame by `see`, and asks
`paused` before it analyses one.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from edge.capture.request import CaptureRequest
from edge.config.schema import Settings
from edge.daemon import publish as outgoing
from edge.errors import TemporaryError
from edge.messages import CaptureReply, DoneReply, Health, Sight, SnapshotReply, StatusReply
from edge.runtime.times import NS_PER_S
from edge.vision.types import Frame

FRAME_WAIT_S = 2.0
RULE = "command"  # as which captures on command are named
EXTERNAL = "external"  # and those by a line of GPIO

Reload = Callable[[], str]
Capture = Callable[[CaptureRequest], bool]


class RefusedError(TemporaryError):
    """A command that can't be done, or not now."""


class Remote:
    """Commands to one daemon.

    capture: takes a request, False where it is too busy.
    reload: reads the configuration again and says what became of it; raises EdgeError to refuse,
    and has changed nothing then. None where the daemon can't.
    health: as last published; the daemon keeps it up to date. So does it `settings`.
    """

    def __init__(
        self, settings: Settings, boot_id: str, capture: Capture, reload: Reload | None = None
    ) -> None:
        self.settings = settings
        self.health: Health | None = None
        self.reloads = reload
        self._boot_id = boot_id
        self._capture = capture
        self._paused_until_s = 0.0
        self._changed = threading.Condition()
        self._asking = threading.Lock()  # one waits for a frame at a time
        self._wanted = self._wants_sight = False
        self._seen: tuple[Frame, Sight | None] | None = None

    @property
    def paused(self) -> bool:
        """Whether frames are to be passed over."""
        return time.monotonic() < self._paused_until_s

    def see(self, frame: Frame, sight: Callable[[], Sight] | None = None) -> None:
        """Each frame, from the thread that has it. Costs nothing unless a command waits for one.

        sight: tells what was seen in it, if that is asked for; None where it wasn't analysed.
        """
        if not self._wanted:
            return
        with self._changed:
            told = sight() if sight is not None and self._wants_sight else None
            self._seen, self._wanted = (frame.detached(), told), False
            self._changed.notify_all()

    def status(self) -> StatusReply:
        return StatusReply(
            camera=self.settings.camera,
            boot_id=self._boot_id,
            paused=self.paused,
            health=self.health,
        )

    def capture(
        self, captures: tuple[Literal["still", "clip"], ...], rule: str = RULE
    ) -> CaptureReply:
        if "clip" in captures and not self.settings.captures_clips:
            raise RefusedError("no rule captures clips, so that no video is kept to make one of")
        frame, _ = self._next_frame()
        request = CaptureRequest(
            event_id=secrets.token_hex(8),
            rule=rule,
            camera=self.settings.camera,
            wall_ns=frame.wall_ns,
            timestamp_ns=frame.timestamp_ns,
            actions=captures,
            still=frame if "still" in captures else None,
        )
        if not self._capture(request):
            raise RefusedError("too many captures are waiting to be written; try again later")
        return CaptureReply(event_id=request.event_id, captures=captures)

    def pause(self, duration_s: float | None) -> DoneReply:
        self._paused_until_s = time.monotonic() + (duration_s or math.inf)
        until = f"for {duration_s:g} s" if duration_s else "until resume"
        return DoneReply(text=f"paused {until}")

    def resume(self) -> DoneReply:
        was_paused, self._paused_until_s = self.paused, 0.0
        return DoneReply(text="resumed" if was_paused else "was not paused")

    def reload(self) -> DoneReply:
        if self.reloads is None:
            raise RefusedError("this daemon can't reload its configuration; restart it")
        return DoneReply(text=self.reloads())

    def snapshot(self, max_width_px: int, sight: bool = False) -> tuple[SnapshotReply, bytes]:
        frame, seen = self._next_frame(sight)
        jpeg, (width, height) = outgoing.snapshot(frame, max_width_px)
        reply = SnapshotReply(
            width=width,
            height=height,
            wall_time=datetime.fromtimestamp(frame.wall_ns / NS_PER_S, UTC),
            timestamp_ns=frame.timestamp_ns,
            sight=seen,
        )
        return reply, jpeg

    def _next_frame(self, sight: bool = False) -> tuple[Frame, Sight | None]:
        """One that comes from now on, and not what was waiting somewhere."""
        with self._asking, self._changed:
            self._seen, self._wants_sight, self._wanted = None, sight, True
            self._changed.wait_for(lambda: self._seen is not None, FRAME_WAIT_S)
            seen, self._seen, self._wanted = self._seen, None, False
        if seen is None:
            raise RefusedError(f"no frame came within {FRAME_WAIT_S:g} s")
        return seen
