"""Every message: its fields, its topic and its schema.

A message on the wire is multipart: topic, JSON and, where there is one, a JPEG. The JSON begins
with the message's `type`. Fields may be added within a schema version, so that readers ignore what
they don't know; anything else raises the version.

`sequence` counts all messages of a daemon and gives their order. `topic_sequence` counts those of
one topic, so that a subscriber to any choice of topics can tell what it missed.

A command is one JSON object that begins with its `command`, and is answered by a JSON object that
begins with its `reply`. Fields that a command doesn't have are refused.
"""

from __future__ import annotations

import re
from datetime import datetime
from inspect import cleandoc
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from edge.errors import PermanentError

SCHEMA_VERSION: Final = 1
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Count = Annotated[int, Meta(ge=0)]
BoxPx = tuple[float, float, float, float]
Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]


class MessageError(PermanentError):
    """What came in is no message of this schema."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Which daemon said it, when, and as which of its messages.

    boot_id: random for each start of the daemon; the sequences begin at 1 with it.
    wall_time: of the exposure, for people. timestamp_ns: the same instant, monotonic.
    repeated: it was published before, as just this message, and is sent again for a late joiner.
    """

    camera: str
    boot_id: str
    sequence: Count
    topic_sequence: Count
    wall_time: datetime
    timestamp_ns: int
    schema_version: int = SCHEMA_VERSION
    repeated: bool = False


class DetectedObject(msgspec.Struct, frozen=True, kw_only=True):
    """One detection. box: x0 y0 x1 y1 in 0..1 of the picture; box_px: the same in its pixels."""

    label: str
    score: Share
    box: Box
    box_px: BoxPx
    track_id: int | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all; `header` is put in by the publisher."""

    header: Header | None = None

    @property
    def topic_parts(self) -> tuple[str, ...]:
        """What follows the kind and the camera in the topic."""
        return ()


class Detection(Message, frozen=True, kw_only=True, tag="detection"):
    """What the looks at one frame found; sent for each frame that was looked at.

    regions_px: the crops that were looked at, x0 y0 x1 y1 in pixels of the picture.
    """

    kind: ClassVar[str] = "detection"
    frame_index: Count
    width: Count
    height: Count
    invocations: Count
    regions_px: tuple[BoxPx, ...]
    detections: tuple[DetectedObject, ...]


class Track(Message, frozen=True, kw_only=True, tag="track"):
    """An object over time: begun, moved on, ended.

    velocity: of the centre, in pictures per second (x, y). age_s: since it was first seen.
    """

    kind: ClassVar[str] = "track"
    change: Literal["new", "update", "end"]
    track_id: int
    label: str
    score: Share
    state: Literal["tentative", "moving", "stationary", "gone"]
    box: Box
    box_px: BoxPx
    velocity: tuple[float, float]
    age_s: float

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return self.label, self.change


class Trigger(Message, frozen=True, kw_only=True, tag="trigger"):
    """A rule was met. A JPEG of the object may follow as third part.

    latency_ms: from the exposure of the frame that confirmed it to its publication.
    captures: what will be captured; a `capture` message follows for each.
    """

    kind: ClassVar[str] = "trigger"
    event_id: str
    rule: str
    zones: tuple[str, ...]
    track_id: int
    label: str
    score: Share
    box: Box
    box_px: BoxPx
    frame_index: Count
    latency_ms: float
    captures: tuple[str, ...]

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.rule,)


class Capture(Message, frozen=True, kw_only=True, tag="capture"):
    """A capture is on disk, whole. event_ids: the triggers it shows."""

    kind: ClassVar[str] = "capture"
    event_ids: tuple[str, ...]
    rule: str
    capture: Literal["still", "clip"]
    path: str
    sidecar: str
    size_bytes: Count
    duration_s: float | None = None

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.rule,)


class Health(Message, frozen=True, kw_only=True, tag="health"):
    """How the daemon is. `dropped` says, queue by queue, what was thrown away since the start.

    stalled: stages that have been at one piece of work for too long.
    picture: what the camera shows. source_restarts: how often it was lost and came back.
    governor_level: 0 = full work, up to 3 when the machine is hot or its power weak; budget_share
    and frame_rate_share: what is left then. power: the firmware's flags of now.
    """

    kind: ClassVar[str] = "health"
    state: Literal["starting", "running", "degraded", "stopping"]
    source: str
    model: str
    uptime_s: float
    fps: float
    frames: Count
    invocations: Count
    invocations_per_s: float
    inference_ms: float
    tracks: Count
    triggers: Count
    captures: Count
    dropped: dict[str, Count]
    rss_bytes: Count
    temperature_c: float | None
    disk_free_bytes: Count | None = None
    problems: tuple[str, ...]
    paused: bool = False
    stalled: tuple[str, ...] = ()
    picture: Literal["good", "frozen", "black", "blocked", "blurred"] = "good"
    source_restarts: Count = 0
    governor_level: Count = 0
    budget_share: Share = 1.0
    frame_rate_share: Share = 1.0
    power: tuple[str, ...] = ()


AnyMessage = Detection | Track | Trigger | Capture | Health
M = TypeVar("M", bound=AnyMessage)
KINDS: tuple[type[AnyMessage], ...] = (Detection, Track, Trigger, Capture, Health)


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
              tag_field="command"):  # fmt: skip
    """Base of all commands."""

    schema_version: Literal[1] = SCHEMA_VERSION


class StatusCommand(Command, frozen=True, kw_only=True, tag="status"):
    """How is the daemon? Answered by `status`."""


class CaptureCommand(Command, frozen=True, kw_only=True, tag="capture"):
    """Captures now. Answered by `capture`; a `capture` message is published for each file."""

    captures: Annotated[tuple[Literal["still", "clip"], ...], Meta(min_length=1, max_length=2)] = (
        "still",
    )


class PauseCommand(Command, frozen=True, kw_only=True, tag="pause"):
    """No frame is analysed and nothing triggers until `resume`, or for so long."""

    duration_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] | None = None


class ResumeCommand(Command, frozen=True, kw_only=True, tag="resume"):
    """Ends a pause."""


class ReloadCommand(Command, frozen=True, kw_only=True, tag="reload"):
    """Reads the configuration again. A bad one is refused, and the old one stays."""


class SnapshotCommand(Command, frozen=True, kw_only=True, tag="snapshot"):
    """The picture as it is now. Answered by `snapshot` with a JPEG as second part.

    sight: also what the pipeline saw in it; costs the daemon some milliseconds.
    """

    max_width_px: Annotated[int, Meta(ge=64, le=8192)] = 1280
    sight: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag_field="reply"):
    """Base of all replies."""

    schema_version: int = SCHEMA_VERSION


class StatusReply(Reply, frozen=True, kw_only=True, tag="status"):
    """health: as last published; None before the first."""

    camera: str
    boot_id: str
    paused: bool
    health: Health | None


class CaptureReply(Reply, frozen=True, kw_only=True, tag="capture"):
    """It has begun; `capture` messages with this event id tell of the files."""

    event_id: str
    captures: tuple[str, ...]


class DoneReply(Reply, frozen=True, kw_only=True, tag="done"):
    """`text` is one sentence for a person."""

    text: str


class SeenTrack(msgspec.Struct, frozen=True, kw_only=True):
    """An open track, tentative ones too, with its box predicted to the time of the frame."""

    track_id: int
    label: str
    score: Share
    state: Literal["tentative", "moving", "stationary", "gone"]
    box_px: BoxPx


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A crop of the picture and its place on the canvas, in the pixels of each."""

    crop_px: BoxPx
    cell_px: BoxPx


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """What the model was given last, as a JPEG, so long before the frame. In JSON it is base64."""

    age_s: float
    width: Count
    height: Count
    cells: tuple[Cell, ...]
    jpeg: bytes


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline saw in one frame, for drawing over it.

    width, height: of the main picture, in whose pixels all boxes but the canvas's cells are.
    blobs_px: what moves; motion_png: where, white on black, of the size of the luma plane (base64).
    changed: share of the picture that differs from the background. scene_change: that was light.
    regions_px: the crops that were looked at in this frame, and detections what was found there.
    """

    width: Count
    height: Count
    blobs_px: tuple[BoxPx, ...]
    motion_png: bytes
    changed: Share
    scene_change: bool
    regions_px: tuple[BoxPx, ...]
    detections: tuple[DetectedObject, ...]
    tracks: tuple[SeenTrack, ...]
    canvas: Canvas | None


class SnapshotReply(Reply, frozen=True, kw_only=True, tag="snapshot"):
    """The size of the JPEG and the time of its exposure; None for `sight` in a pause."""

    width: Count
    height: Count
    wall_time: datetime
    timestamp_ns: int
    sight: Sight | None = None


class FailureReply(Reply, frozen=True, kw_only=True, tag="failure"):
    """Nothing was done; `text` says why in one sentence.

    malformed: no command of this schema. too_many: of this client's commands; wait a second.
    refused: it can't be done, or not now. failed: a fault of the daemon; its log says more.
    """

    code: Literal["malformed", "too_many", "refused", "failed"]
    text: str


AnyCommand = (
    StatusCommand | CaptureCommand | PauseCommand | ResumeCommand | ReloadCommand | SnapshotCommand
)
AnyReply = StatusReply | CaptureReply | DoneReply | SnapshotReply | FailureReply

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(AnyMessage)
_command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_reply_decoder: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
_version = msgspec.json.Decoder(dict[str, Any])


def topic_of(message: AnyMessage, camera: str) -> str:
    """`<kind>.<camera>[.<part>…]`, for instance `track.cam0.person.new`."""
    return ".".join([message.kind, *map(topic_part, (camera, *message.topic_parts))])


def topic_part(name: str) -> str:
    """A name as one part of a topic: all but letters, digits, `_` and `-` becomes `_`."""
    return re.sub(r"[^\w-]", "_", name)


def encode(message: AnyMessage, jpeg: bytes | None = None) -> list[bytes]:
    """The parts on the wire. The message must have its header."""
    if message.header is None:
        raise MessageError("a message can't be sent without its header")
    topic = topic_of(message, message.header.camera).encode()
    parts = [topic, _encoder.encode(message)]
    return parts if jpeg is None else [*parts, jpeg]


def decode(parts: list[bytes]) -> tuple[AnyMessage, bytes | None]:
    """The message and its JPEG. Raises MessageError with one sentence for anything else."""
    if not 2 <= len(parts) <= 3:
        raise MessageError(f"a message has 2 or 3 parts, not {len(parts)}")
    try:
        message = _decoder.decode(parts[1])
    except MALFORMED as error:
        raise MessageError(_explained(parts[1], str(error))) from error
    if message.header is None:
        raise MessageError("message without a header")
    if message.header.schema_version != SCHEMA_VERSION:
        raise MessageError(_explained(parts[1], ""))
    return message, parts[2] if len(parts) == 3 else None


def encode_command(command: AnyCommand) -> bytes:
    return _encoder.encode(command)


def decode_command(body: bytes) -> AnyCommand:
    """Raises MessageError with one sentence for anything else."""
    try:
        return _command_decoder.decode(body)
    except MALFORMED as error:
        raise MessageError(f"not a command: {error}") from error


def encode_reply(reply: AnyReply, jpeg: bytes | None = None) -> list[bytes]:
    """The parts on the wire, behind the envelope."""
    parts = [_encoder.encode(reply)]
    return parts if jpeg is None else [*parts, jpeg]


def decode_reply(parts: list[bytes]) -> tuple[AnyReply, bytes | None]:
    """The reply and its JPEG. Raises MessageError with one sentence for anything else."""
    if not 1 <= len(parts) <= 2:
        raise MessageError(f"a reply has 1 or 2 parts, not {len(parts)}")
    try:
        reply = _reply_decoder.decode(parts[0])
    except MALFORMED as error:
        raise MessageError(f"not a reply: {error}") from error
    return reply, parts[1] if len(parts) == 2 else None


def _explained(body: bytes, error: str) -> str:
    """Says of another schema version that it is one, rather than what doesn't fit."""
    try:
        version = _version.decode(body)["header"]["schema_version"]
    except (*MALFORMED, KeyError, TypeError):
        version = SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        return f"message of schema version {version}; this program reads {SCHEMA_VERSION}"
    return f"not a message: {error}"


def schemas() -> dict[str, bytes]:
    """JSON Schema of each kind of message and of commands and replies, as in `docs/schemas/`."""
    types: dict[str, Any] = {kind.kind: kind for kind in KINDS}
    types |= {"command": AnyCommand, "reply": AnyReply}
    return {
        name: msgspec.json.format(
            msgspec.json.encode(_dedented(msgspec.json.schema(kind)), order="sorted"), indent=2
        )
        + b"\n"
        for name, kind in types.items()
    }


def _dedented(schema: Any) -> Any:
    """Descriptions come from docstrings, which Python strips of indentation from 3.13 on."""
    if isinstance(schema, dict):
        return {
            key: cleandoc(value) if key == "description" else _dedented(value)
            for key, value in schema.items()
        }
    return schema
