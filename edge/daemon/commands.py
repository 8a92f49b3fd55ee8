"""Remote control: carries out the commands that arrive at the control socket.

The control thread calls the commands (`edge.bus.control.Commands`). The analysis thread checks
`paused` before it analyses a frame, and then passes the frame to `show`.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from edge.capture.request import CaptureRequest
from edge.capture.writer import Blurred, none_blurred
from edge.config.schema import Settings
from edge.daemon import pictures
from edge.errors import TemporaryError
from edge.messages import (
    CaptureKind,
    CaptureReply,
    DoneReply,
    Health,
    Sight,
    SnapshotReply,
    StatusReply,
)
from edge.runtime.times import NS_PER_S
from edge.vision.geometry import Box
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Frame

FRAME_WAIT_S = 2.0  # for the next frame; a camera at 1 frame/s needs less
COMMAND_RULE = "command"  # the rule in the names of captures on command
EXTERNAL_RULE = "external"  # the rule in the names of captures by a GPIO line

Reload = Callable[[], str]
Capture = Callable[[CaptureRequest], bool]


class RefusedError(TemporaryError):
    """A command that can't be carried out, at least not now."""


class Remote:
    """Commands to one daemon.

    health: the last one published; the supervising thread sets it. last_event: the last trigger,
    with its frame; the analysis thread sets it.
    """

    def __init__(
        self,
        settings: Settings,
        boot_id: str,
        capture: Capture,
        reload: Reload | None = None,
        blurred: Blurred = none_blurred,
    ) -> None:
        """capture: accepts a request, or returns False because too many are waiting.

        reload: reads the configuration again and returns the result as a sentence. To refuse, it
            raises EdgeError and changes nothing. None if the daemon can't reload.
        blurred: boxes that the picture of a trigger is to show blurred, by the frame's time.
        """
        self.health: Health | None = None
        self.last_event: TriggerEvent | None = None
        self._settings = settings
        self.boot_id = boot_id
        self._capture = capture
        self._reload = reload
        self._blurred = blurred
        self._paused_until_s = 0.0
        self._frames = _NextFrame()

    @property
    def paused(self) -> bool:
        """Whether frames are skipped instead of analysed."""
        return time.monotonic() < self._paused_until_s

    def show(self, frame: Frame, sight: Callable[[], Sight] | None = None) -> None:
        """Hands a frame to a command that waits for one; without such a command it does nothing.

        The analysis thread calls it with each frame.
        sight: makes the pipeline's view of the frame, if requested; None during a pause.
        """
        self._frames.show(frame, sight)

    def close(self) -> None:
        """Refuses pictures from here on, as the next daemon may have other privacy masks."""
        self._frames.close()

    def status(self) -> StatusReply:
        return StatusReply(
            camera=self._settings.camera,
            boot_id=self.boot_id,
            paused=self.paused,
            health=self.health,
        )

    def capture(self, captures: tuple[CaptureKind, ...], rule: str = COMMAND_RULE) -> CaptureReply:
        if "clip" in captures and not self._settings.captures_clips:
            raise RefusedError("no clip can be captured: no rule has clip among its actions")
        frame, _ = self._frames.wait()
        request = CaptureRequest(
            event_id=secrets.token_hex(8),
            rule=rule,
            camera=self._settings.camera,
            wall_ns=frame.wall_ns,
            timestamp_ns=frame.timestamp_ns,
            actions=captures,
            still=frame if "still" in captures else None,
            method="command",
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
        if self._reload is None:
            raise RefusedError("this daemon can't reload its configuration; restart it")
        return DoneReply(text=self._reload())

    def snapshot(
        self, max_width_px: int, sight: bool = False, trigger: bool = False
    ) -> tuple[SnapshotReply, bytes]:
        box, view = None, None
        hidden: Sequence[Box] = ()
        if trigger:
            event = self.last_event  # read once: the analysis thread may replace it
            if event is None:
                raise RefusedError("there was no trigger yet")
            frame, box = event.frame, event.best.box_xyxy
            hidden = self._blurred(frame.timestamp_ns)
        else:
            frame, view = self._frames.wait(sight)
        jpeg, (width, height) = pictures.snapshot(frame, max_width_px, box, hidden)
        reply = SnapshotReply(
            width=width,
            height=height,
            wall_time=datetime.fromtimestamp(frame.wall_ns / NS_PER_S, UTC),
            timestamp_ns=frame.timestamp_ns,
            sight=view,
        )
        return reply, jpeg


class _NextFrame:
    """Hands the next frame from the analysis thread to a command that waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = threading.Lock()  # one command waits at a time
        self._wanted = self._wants_sight = self._closed = False
        self._shown: tuple[Frame, Sight | None] | None = None

    def show(self, frame: Frame, sight: Callable[[], Sight] | None) -> None:
        if not self._wanted:
            return
        with self._changed:
            view = sight() if sight is not None and self._wants_sight else None
            self._shown, self._wanted = (frame.detached(), view), False
            self._changed.notify_all()

    def close(self) -> None:
        """Makes each wait fail."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, sight: bool = False) -> tuple[Frame, Sight | None]:
        """Waits for the next frame. Raises RefusedError if none comes or may be given."""
        with self._waiting, self._changed:
            self._shown, self._wants_sight, self._wanted = None, sight, True
            self._changed.wait_for(lambda: self._closed or self._shown is not None, FRAME_WAIT_S)
            shown, self._shown, self._wanted = self._shown, None, False
        if self._closed:
            raise RefusedError("the daemon is stopping or starts again")
        if shown is None:
            raise RefusedError(f"no frame came within {FRAME_WAIT_S:g} s")
        return shown
