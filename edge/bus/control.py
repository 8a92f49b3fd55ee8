"""The control socket: reads typed commands, sends typed replies, and survives any input.

The daemon implements the protocol `Commands`. A request has the envelope of ZeroMQ's REQ sockets,
which the reply repeats unchanged, and one part of JSON: see `edge.messages`.
"""

from __future__ import annotations

import logging
import time
from typing import Final, Protocol

import msgspec
import zmq

from edge.bus.endpoint import BoundSocket, Report, control_endpoint
from edge.bus.rate import RateLimit
from edge.bus.socket_thread import SocketThread
from edge.config.schema import BusSettings
from edge.errors import EdgeError
from edge.messages import (
    AnyCommand,
    AnyReply,
    CaptureCommand,
    CaptureKind,
    CaptureReply,
    DoneReply,
    FailureCode,
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

MAX_PART_BYTES: Final = 4096  # the longest command has about 100
MAX_ENVELOPE: Final = 2  # parts: REQ's request id and its empty delimiter
HIGH_WATER_MARK: Final = 20  # replies that wait for one peer: 2 MB with snapshots of 100 kB
RATE_PER_S, BURST, PEERS = 10.0, 20, 256  # people, scripts and live views send fewer
PENALTY_S: Final = 0.001  # for each command over the rate; bounds the CPU time of a flood
IDLE_MS: Final = 1000
STOP_S: Final = 5.0  # longest wait for the command in progress

log = logging.getLogger(__name__)


class Commands(Protocol):
    """The daemon's side of each command. Called in the control thread; an EdgeError refuses."""

    def status(self) -> StatusReply: ...

    def capture(self, captures: tuple[CaptureKind, ...]) -> CaptureReply: ...

    def pause(self, duration_s: float | None) -> DoneReply: ...

    def resume(self) -> DoneReply: ...

    def reload(self) -> DoneReply: ...

    def snapshot(
        self, max_width_px: int, sight: bool, trigger: bool
    ) -> tuple[SnapshotReply, bytes]: ...


class ControlServer:
    """A ROUTER socket with its thread; does nothing if the settings name no endpoint."""

    def __init__(
        self, settings: BusSettings, commands: Commands, report: Report = log.warning
    ) -> None:
        """report: receives a sentence for each problem of the socket."""
        self._settings = settings
        self._commands = commands
        self._report = report
        self._limit = RateLimit(RATE_PER_S, BURST, PEERS)
        self._thread: SocketThread | None = None

    def start(self) -> None:
        """Binds and starts the thread. Raises BusError with one sentence."""
        if not control_endpoint(self._settings):
            return
        bound = BoundSocket(self._settings, "control", zmq.ROUTER, MAX_PART_BYTES, self._report)
        bound.socket.set(zmq.SNDHWM, HIGH_WATER_MARK)
        bound.socket.set(zmq.RCVHWM, HIGH_WATER_MARK)
        bound.open()
        self._thread = SocketThread("control", bound, self._run)

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread early."""
        return self._thread.error if self._thread is not None else None

    def busy_s(self) -> float:
        """How long the command in progress has taken so far; 0 when idle."""
        return self._thread.busy_s() if self._thread is not None else 0.0

    def stop(self) -> None:
        """Waits up to 5 s for the command in progress.

        Raises StuckThreadError if it does not end; the socket stays open then.
        """
        if self._thread is not None:
            self._thread.stop(STOP_S)

    def _run(self, thread: SocketThread) -> None:
        while not thread.stopping:
            if thread.bound.wait(IDLE_MS):
                with thread.work():
                    self._serve(thread.bound)

    def _serve(self, bound: BoundSocket) -> None:
        """Serves one request. ROUTER reads from its peers in turn, and drops unread replies."""
        frames = bound.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        identity, *envelope, body = [frame.bytes for frame in frames]
        user_id = _user_id(frames[-1])
        if not bound.allows(user_id):
            return  # revoked, and disconnected soon
        if len(envelope) > MAX_ENVELOPE:
            envelope, parts = [b""], [*_failure("malformed", "not a REQ socket's envelope")]
        elif self._limit.allows(user_id.encode() or identity, time.monotonic()):
            parts = answer(self._commands, body)
        else:
            parts = _failure("too_many", f"more than {RATE_PER_S:g} commands per second")
            time.sleep(PENALTY_S)
        bound.socket.send_multipart([identity, *envelope, *parts])


def answer(commands: Commands, body: bytes) -> list[bytes]:
    """The parts of the reply, in the command's schema version. Raises nothing, for any `body`."""
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
    reply = msgspec.structs.replace(reply, schema_version=command.schema_version)
    reads_only = isinstance(command, StatusCommand | SnapshotCommand)
    level = logging.DEBUG if reads_only else logging.INFO
    log.log(level, "command done: %s", type(command).__struct_config__.tag)
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
            return commands.snapshot(command.max_width_px, command.sight, command.trigger)


def _failure(code: FailureCode, text: str) -> list[bytes]:
    return encode_reply(FailureReply(code=code, text=text))


def _user_id(frame: zmq.Frame) -> str:
    """The sender's CURVE key; empty without CURVE."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
