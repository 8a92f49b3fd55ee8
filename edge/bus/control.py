"""The control socket: typed commands in, typed replies out, and nothing that comes in can harm.

What the daemon does on command is behind the protocol `Commands`. A request is an envelope that is
given back as it came, as ZeroMQ's REQ sockets make it, and one part of JSON: see `edge.messages`.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Literal, Protocol

import zmq

from edge.bus.door import Door, control_endpoint
from edge.bus.rate import RateLimit
from edge.config.schema import BusSettings
from edge.errors import EdgeError
from edge.messages import (
    AnyCommand,
    AnyReply,
    CaptureCommand,
    CaptureReply,
    DoneReply,
    FailureReply,
    MessageError,
    PauseCommand,
    ReloadCommand,
    ResumeCommand,
    SnapshotCommand,
    SnapshotReply,
    StatusCommand,
    StatusReply,
    decode_command,
    encode_reply,
)

MAX_PART_BYTES = 4096
MAX_ENVELOPE = 2  # parts: REQ's request id and its empty delimiter
HIGH_WATER_MARK = 20  # replies that wait for a peer; a snapshot may be some 100 kB
RATE_PER_S, BURST, PEERS = 10.0, 20, 256
PENALTY_S = 0.001  # for each command too many: bounds the time that a flood takes from analysis
IDLE_MS = 1000

log = logging.getLogger(__name__)


class Commands(Protocol):
    """What the daemon does on command. Called in the control thread; EdgeError refuses."""

    def status(self) -> StatusReply: ...

    def capture(self, captures: tuple[Literal["still", "clip"], ...]) -> CaptureReply: ...

    def pause(self, duration_s: float | None) -> DoneReply: ...

    def resume(self) -> DoneReply: ...

    def reload(self) -> DoneReply: ...

    def snapshot(self, max_width_px: int, sight: bool) -> tuple[SnapshotReply, bytes]: ...


class ControlServer:
    """ROUTER socket with a thread of its own; it has none where the settings name no endpoint."""

    def __init__(self, settings: BusSettings, commands: Commands) -> None:
        self._settings = settings
        self._commands = commands
        self._limit = RateLimit(RATE_PER_S, BURST, PEERS)
        self._door: Door | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Binds and starts the thread. Raises BusError with one sentence."""
        if not control_endpoint(self._settings):
            return
        door = Door(self._settings, "control", zmq.ROUTER, MAX_PART_BYTES)
        door.socket.set(zmq.SNDHWM, HIGH_WATER_MARK)
        door.socket.set(zmq.RCVHWM, HIGH_WATER_MARK)
        door.open()
        self._door = door
        self._thread.start()

    def stop(self) -> None:
        """Lets the command in progress end, for 5 s at most."""
        self._stopping = True
        if self._door is None:
            return
        self._door.wake()
        self._thread.join(5)
        if not self._thread.is_alive():
            self._door.close()

    def _run(self) -> None:
        assert self._door is not None
        try:
            while not self._stopping:
                if self._door.wait(IDLE_MS):
                    self._serve(self._door)
        except BaseException as error:  # whatever ends this thread must end the daemon
            log.exception("control ended")
            self.error = error

    def _serve(self, door: Door) -> None:
        """One request. ROUTER takes from its peers in turn and drops what a peer doesn't fetch."""
        frames = door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        identity, *envelope, body = [frame.bytes for frame in frames]
        user_id = _user_id(frames[-1])
        if not door.allows(user_id):
            return  # revoked, and about to be disconnected
        if len(envelope) > MAX_ENVELOPE:
            envelope, parts = [b""], [*_failure("malformed", "not a REQ socket's envelope")]
        elif self._limit.allows(user_id.encode() or identity, time.monotonic()):
            parts = answer(self._commands, body)
        else:
            parts = _failure("too_many", f"more than {RATE_PER_S:g} commands per second")
            time.sleep(PENALTY_S)
        door.socket.send_multipart([identity, *envelope, *parts])


def answer(commands: Commands, body: bytes) -> list[bytes]:
    """The parts of the reply; whatever `body` is, nothing is raised."""
    try:
        command = decode_command(body)
    except MessageError as error:
        return _failure("malformed", str(error))
    try:
        reply, jpeg = _do(commands, command)
    except EdgeError as error:
        return _failure("refused", str(error))
    except Exception as error:
        log.exception("command failed: %s", command)
        return _failure("failed", f"{type(error).__name__}: {error}")
    asks_only = isinstance(command, StatusCommand | SnapshotCommand)
    level = logging.DEBUG if asks_only else logging.INFO
    log.log(level, "did %s on command", type(command).__struct_config__.tag)
    return encode_reply(reply, jpeg)


def _do(commands: Commands, command: AnyCommand) -> tuple[AnyReply, bytes | None]:
    match command:
        case StatusCommand():
            return commands.status(), None
        case CaptureCommand():
            return commands.capture(command.captures), None
        case PauseCommand():
            return commands.pause(command.duration_s), None
        case ResumeCommand():
            return commands.resume(), None
        case ReloadCommand():
            return commands.reload(), None
        case SnapshotCommand():
            return commands.snapshot(command.max_width_px, command.sight)


def _failure(code: Literal["malformed", "too_many", "refused", "failed"], text: str) -> list[bytes]:
    return encode_reply(FailureReply(code=code, text=text))


def _user_id(frame: zmq.Frame) -> str:
    """The key as which CURVE let the sender in; empty where there is no CURVE."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
