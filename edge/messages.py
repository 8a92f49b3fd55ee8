"""Every message: its fields, its topic and its schema.

A message on the wire has two or three parts: topic, JSON and, for some, a JPEG. The JSON begins
with the message's `type`. Fields and kinds of message may be added within a schema version, and
readers ignore those they don't know; any other change raises the version. Readers accept this
version and the one before.

`sequence` counts all messages of a daemon and gives their order. `topic_sequence` counts those of
one topic, so that a subscriber to any choice of topics can find the gaps.

A command is one JSON object that begins with its `command`; the reply is a JSON object that begins
with its `reply`. Unknown fields of a command are refused.
"""

from __future__ import annotations

import re
from datetime import datetime
from inspect import cleandoc
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from edge.errors import PermanentError

__all__ = [
    "ACCEPTED",
    "KINDS",
    "SCHEMA_VERSION",
    "AnyCommand",
    "AnyMessage",
    "AnyReply",
    "Box",
    "BoxPx",
    "Canvas",
    "Capture",
    "CaptureCommand",
    "CaptureKind",
    "CaptureReply",
    "Cell",
    "Command",
    "Count",
    "Crossing",
    "DetectedObject",
    "Detection",
    "DoneReply",
    "FailureCode",
    "FailureReply",
    "Header",
    "Health",
    "LineToday",
    "M",
    "Message",
    "MessageError",
    "PauseCommand",
    "Presence",
    "ReloadCommand",
    "Reply",
    "ResumeCommand",
    "SeenTrack",
    "Share",
    "Sight",
    "SnapshotCommand",
    "SnapshotReply",
    "StatusCommand",
    "StatusReply",
    "Stay",
    "Track",
    "Trigger",
    "TriggerPlace",
    "ZoneToday",
    "decode",
    "decode_command",
    "decode_reply",
    "encode",
    "encode_command",
    "encode_reply",
    "schema_text",
    "schemas",
    "topic_of",
    "topic_part",
]

SCHEMA_VERSION: Final = 1
ACCEPTED: Final = (SCHEMA_VERSION - 1, SCHEMA_VERSION)

_MALFORMED = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
_KIND_LENGTH = 40  # characters of an unknown kind that an error quotes, as it may be long

CaptureKind = Literal["still", "clip"]
FailureCode = Literal["malformed", "too_many", "refused", "failed"]
Count = Annotated[int, Meta(ge=0)]
BoxPx = tuple[float, float, float, float]
Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]


class MessageError(PermanentError):
    """The received bytes are not a message of a schema version that this program reads.

    cause: `malformed`, `schema version N` or `kind 'NAME'`; equal for all messages of that version
    or kind.
    """

    def __init__(self, text: str, cause: str = "malformed") -> None:
        self.cause = cause
        super().__init__(text)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon that published the message, the time, and the message's numbers.

    boot_id: random for each start of the daemon; both sequences begin at 1 with it.
    wall_time: time of the exposure, for people. timestamp_ns: the same instant, monotonic.
    repeated: published before with the same numbers, and sent again for a new subscriber.
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
    """One detection. box: x0 y0 x1 y1 as shares of the picture; box_px: the same in pixels.

    group: of the label, for example animal; empty if it has none.
    """

    label: str
    score: Share
    box: Box
    box_px: BoxPx
    track_id: int | None = None
    group: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all messages. The publisher fills in `header`."""

    header: Header | None = None

    @property
    def topic_parts(self) -> tuple[str, ...]:
        """The parts of the topic after the kind and the camera."""
        return ()


class Detection(Message, frozen=True, kw_only=True, tag="detection"):
    """The objects detected in one frame; published for each frame that the model was run on.

    regions_px: the crops given to the model, x0 y0 x1 y1 in pixels of the picture.
    """

    kind: ClassVar[str] = "detection"
    frame_index: Count
    width: Count
    height: Count
    invocations: Count
    regions_px: tuple[BoxPx, ...]
    detections: tuple[DetectedObject, ...]


class Track(Message, frozen=True, kw_only=True, tag="track"):
    """An object over time: new, updated or ended.

    group: of the label, for example animal; empty if it has none.
    velocity: of the box's centre, in picture widths and heights per second (x, y).
    age_s: time since the first detection.
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
    group: str = ""

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return self.label, self.change


class Trigger(Message, frozen=True, kw_only=True, tag="trigger"):
    """A rule was met. A JPEG of the object may follow as third part.

    group: of the label, for example animal; empty if it has none.
    latency_ms: from the exposure of the frame that confirmed the event to the publication.
    captures: the captures that follow (`still`, `clip`). The `event_id` of this trigger is in
    exactly one `capture` message for each; of a burst, in one for each still.
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
    group: str = ""

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.rule,)


class Capture(Message, frozen=True, kw_only=True, tag="capture"):
    """A capture that was announced is complete on disk, or has failed.

    event_ids: the triggers it belongs to; triggers close in time share a clip.
    failure: why there is no file, in one sentence; empty where there is one. With a failure, `path`
    and `sidecar` are empty, `size_bytes` is 0 and `duration_s` is null.
    """

    kind: ClassVar[str] = "capture"
    event_ids: tuple[str, ...]
    rule: str
    capture: CaptureKind
    path: str
    sidecar: str
    size_bytes: Count
    duration_s: float | None = None
    failure: str = ""

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.rule,)


class Crossing(Message, frozen=True, kw_only=True, tag="count"):
    """An object went across a line.

    direction: `in` is from the left of the line to its right, seen from its start.
    group: of the label, for example animal; empty if it has none.
    today_in, today_out: crossings of this line since local midnight, this one included.
    """

    kind: ClassVar[str] = "count"
    line: str
    direction: Literal["in", "out"]
    track_id: int
    label: str
    today_in: Count
    today_out: Count
    group: str = ""

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.line,)


class Stay(Message, frozen=True, kw_only=True, tag="stay"):
    """An object was in a zone for this time, and has left it or is gone.

    group: of the label, for example animal; empty if it has none.
    """

    kind: ClassVar[str] = "stay"
    zone: str
    track_id: int
    label: str
    duration_s: float
    group: str = ""

    @property
    def topic_parts(self) -> tuple[str, ...]:
        return (self.zone,)


class LineToday(msgspec.Struct, frozen=True, kw_only=True):
    """Crossings of a line since local midnight, by direction."""

    today_in: Count
    today_out: Count


class ZoneToday(msgspec.Struct, frozen=True, kw_only=True):
    """The objects in a zone now, and the stays that ended since local midnight.

    today_stay_s: total time of these stays.
    """

    objects: Count
    today_stays: Count
    today_stay_s: float


class Presence(Message, frozen=True, kw_only=True, tag="presence"):
    """The objects that are there now, and the counts of the day; published when they change.

    It names every rule, zone and line of the configuration, and no other. During a pause it does
    not change.
    rules: number of objects that meet each rule, also while its cooldown lasts. An object that has
    met a rule counts until it is gone or has left the rule's zones.
    """

    kind: ClassVar[str] = "presence"
    rules: dict[str, Count]
    zones: dict[str, ZoneToday]
    lines: dict[str, LineToday]


class TriggerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place where objects that did not move have triggered a rule again and again.

    place: its number in this run of the daemon; `edge ctl mute` takes it.
    label, group: of the last of these objects. count: number of these objects.
    box: around all of them, x0 y0 x1 y1 as shares of the picture.
    first_time, last_time: of their triggers.
    """

    place: Count
    rule: str
    label: str
    box: Box
    count: Count
    first_time: datetime
    last_time: datetime
    group: str = ""


class Health(Message, frozen=True, kw_only=True, tag="health"):
    """The daemon's state, published at a fixed interval.

    dropped: number of items that each queue has dropped since the start.
    captures: files written since the start.
    stalled: stages whose present work has taken too long.
    picture: condition of the camera's picture.
    source_restarts: how often the source was lost and opened again.
    source_time_jumps: how often the source's own times stepped back or leapt.
    governor_level: 0 for full work, up to 3 when the machine is hot or its power is weak.
    budget_share, frame_rate_share: share of the budget and of the frame rate at that level.
    power: the firmware's present power flags.
    places: where a rule is triggered again and again, possibly by a false alarm.
    muted: number of objects that did not trigger since they were in a muted place.
    version: of edge-trigger on that machine; empty from a version that does not say so.
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
    source_time_jumps: Count = 0
    governor_level: Count = 0
    budget_share: Share = 1.0
    frame_rate_share: Share = 1.0
    power: tuple[str, ...] = ()
    places: tuple[TriggerPlace, ...] = ()
    muted: Count = 0
    version: str = ""


AnyMessage = Detection | Track | Trigger | Capture | Crossing | Stay | Presence | Health
M = TypeVar("M", bound=AnyMessage)
KINDS: tuple[type[AnyMessage], ...] = (
    Detection, Track, Trigger, Capture, Crossing, Stay, Presence, Health,
)  # fmt: skip


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
              tag_field="command"):  # fmt: skip
    """Base of all commands."""

    # Version 1 is the first: there is none before it.
    schema_version: Annotated[int, Meta(ge=max(1, ACCEPTED[0]), le=ACCEPTED[1])] = SCHEMA_VERSION


class StatusCommand(Command, frozen=True, kw_only=True, tag="status"):
    """Asks for the daemon's state. The reply is `status`."""


class CaptureCommand(Command, frozen=True, kw_only=True, tag="capture"):
    """Captures now. The reply is `capture`; a `capture` message is published for each capture."""

    captures: Annotated[tuple[CaptureKind, ...], Meta(min_length=1, max_length=2)] = ("still",)


class PauseCommand(Command, frozen=True, kw_only=True, tag="pause"):
    """Stops analysis and triggers until `resume`, or for `duration_s`. The reply is `done`."""

    duration_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] | None = None


class ResumeCommand(Command, frozen=True, kw_only=True, tag="resume"):
    """Ends a pause. The reply is `done`."""


class ReloadCommand(Command, frozen=True, kw_only=True, tag="reload"):
    """Reads the configuration again. The reply is `done`; an invalid file changes nothing."""


class SnapshotCommand(Command, frozen=True, kw_only=True, tag="snapshot"):
    """Asks for the present picture. The reply is `snapshot`, with a JPEG as second part.

    sight: also the pipeline's view of it; costs the daemon some milliseconds.
    trigger: instead, the picture of the last trigger with a box around the object; without a sight.
    """

    max_width_px: Annotated[int, Meta(ge=64, le=8192)] = 1280
    sight: bool = False
    trigger: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag_field="reply"):
    """Base of all replies."""

    schema_version: int = SCHEMA_VERSION


class StatusReply(Reply, frozen=True, kw_only=True, tag="status"):
    """The daemon's state. health: as last published; None before the first."""

    camera: str
    boot_id: str
    paused: bool
    health: Health | None


class CaptureReply(Reply, frozen=True, kw_only=True, tag="capture"):
    """The captures have begun. One `capture` message with this event id follows for each."""

    event_id: str
    captures: tuple[str, ...]


class DoneReply(Reply, frozen=True, kw_only=True, tag="done"):
    """The command was done. text: one sentence for a person."""

    text: str


class SeenTrack(msgspec.Struct, frozen=True, kw_only=True):
    """An open track, tentative or not, with its box predicted for the time of the frame.

    group: of the label, for example animal; empty if it has none.
    """

    track_id: int
    label: str
    score: Share
    state: Literal["tentative", "moving", "stationary", "gone"]
    box_px: BoxPx
    group: str = ""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A crop (pixels of the picture) and its place on the canvas (pixels of the canvas)."""

    crop_px: BoxPx
    cell_px: BoxPx


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """The model's last input, as a JPEG (base64 in JSON). age_s: its age at the frame's time."""

    age_s: float
    width: Count
    height: Count
    cells: tuple[Cell, ...]
    jpeg: bytes


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline's view of one frame, for drawing over the picture.

    width, height: size of the main frame; all boxes but `cell_px` are in its pixels.
    blobs_px: boxes around motion. motion_png: the motion mask, white on black, with the size of the
    luma plane (base64 in JSON).
    changed: share of the picture that differs from the background.
    scene_change: the whole picture changed, for instance by light, which is not motion.
    regions_px: the crops given to the model for this frame. detections: the objects in them.
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
    """The size of the JPEG and the time of its exposure. sight: None in a pause."""

    width: Count
    height: Count
    wall_time: datetime
    timestamp_ns: int
    sight: Sight | None = None


class FailureReply(Reply, frozen=True, kw_only=True, tag="failure"):
    """The command was not done. text: the reason, in one sentence.

    malformed: not a command of this schema. too_many: this client sent too many; wait a second.
    refused: not possible, or not now. failed: a fault of the daemon; the details are in its log.
    """

    code: FailureCode
    text: str


AnyCommand = (
    StatusCommand | CaptureCommand | PauseCommand | ResumeCommand | ReloadCommand | SnapshotCommand
)
AnyReply = StatusReply | CaptureReply | DoneReply | SnapshotReply | FailureReply

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(AnyMessage)
_command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_reply_decoder: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)


class _VersionOnly(msgspec.Struct):
    schema_version: int


class _Outline(msgspec.Struct):
    """The fields that identify a message or a reply: its kind and its version."""

    type: str = ""
    header: _VersionOnly | None = None
    schema_version: int | None = None


_outline_decoder = msgspec.json.Decoder(_Outline)


def topic_of(message: AnyMessage, camera: str) -> str:
    """`<kind>.<camera>[.<part>…]`, for instance `track.cam0.person.new`."""
    return ".".join([message.kind, *map(topic_part, (camera, *message.topic_parts))])


def topic_part(name: str) -> str:
    """A name as one part of a topic: other characters than letters, digits, `_`, `-` become `_`."""
    return re.sub(r"[^\w-]", "_", name)


def encode(message: AnyMessage, jpeg: bytes | None = None) -> list[bytes]:
    """The parts on the wire. Raises MessageError for a message without a header."""
    if message.header is None:
        raise MessageError("a message can't be sent without its header")
    topic = topic_of(message, message.header.camera).encode()
    parts = [topic, _encoder.encode(message)]
    return parts if jpeg is None else [*parts, jpeg]


def decode(parts: list[bytes]) -> tuple[AnyMessage, bytes | None]:
    """The message and its JPEG, of a schema version in `ACCEPTED`. Raises MessageError."""
    if not 2 <= len(parts) <= 3:
        raise MessageError(f"a message has 2 or 3 parts, not {len(parts)}")
    topic, body, *jpeg = parts
    try:
        topic.decode()
        message = _decoder.decode(body)
    except _MALFORMED as error:
        raise _unreadable(body, error) from error
    if message.header is None:
        raise MessageError("message without a header")
    _check_version(message.header.schema_version)
    return message, jpeg[0] if jpeg else None


def encode_command(command: AnyCommand) -> bytes:
    """The one part on the wire, after the envelope."""
    return _encoder.encode(command)


def decode_command(body: bytes) -> AnyCommand:
    """Raises MessageError with one sentence."""
    try:
        return _command_decoder.decode(body)
    except _MALFORMED as error:
        raise MessageError(f"not a command: {error}") from error


def encode_reply(reply: AnyReply, jpeg: bytes | None = None) -> list[bytes]:
    """The parts on the wire, after the envelope."""
    parts = [_encoder.encode(reply)]
    return parts if jpeg is None else [*parts, jpeg]


def decode_reply(parts: list[bytes]) -> tuple[AnyReply, bytes | None]:
    """The reply and its JPEG, of a schema version in `ACCEPTED`. Raises MessageError."""
    if not 1 <= len(parts) <= 2:
        raise MessageError(f"a reply has 1 or 2 parts, not {len(parts)}")
    body, *jpeg = parts
    try:
        reply = _reply_decoder.decode(body)
    except _MALFORMED as error:
        if (version := _outline(body).schema_version) is not None:
            _check_version(version)
        raise MessageError(f"not a reply: {error}") from error
    _check_version(reply.schema_version)
    return reply, jpeg[0] if jpeg else None


def _check_version(version: int) -> None:
    """Raises MessageError for a version that this program doesn't read."""
    if version in ACCEPTED:
        return
    oldest, newest = max(1, ACCEPTED[0]), ACCEPTED[1]
    ours = f"{newest}" if oldest == newest else f"{oldest} and {newest}"
    fix = "update this program" if version > newest else "update the daemon"
    text = f"schema version {version} can't be read; this program reads {ours}: {fix}"
    raise MessageError(text, f"schema version {version}")


def _unreadable(body: bytes, error: Exception) -> MessageError:
    """The error for a message that could not be decoded: its version, its kind or its content."""
    outline = _outline(body)
    if outline.header is not None:
        try:
            _check_version(outline.header.schema_version)
        except MessageError as other:
            return other
        if outline.type and all(outline.type != kind.kind for kind in KINDS):
            kind = f"kind {outline.type[:_KIND_LENGTH]!r}"
            return MessageError(f"unknown {kind} of message", kind)
    return MessageError(f"not a message: {error}")


def _outline(body: bytes) -> _Outline:
    """Empty for bytes that are not JSON."""
    try:
        return _outline_decoder.decode(body)
    except _MALFORMED:
        return _Outline()


def schemas() -> dict[str, bytes]:
    """JSON Schema of each kind of message, of the commands and of the replies; by file name."""
    types: dict[str, Any] = {kind.kind: kind for kind in KINDS}
    types |= {"command": AnyCommand, "reply": AnyReply}
    return {name: schema_text(msgspec.json.schema(kind)) for name, kind in types.items()}


def schema_text(schema: dict[str, Any]) -> bytes:
    """A JSON Schema as the text of a file, the same on all versions of Python."""
    text = msgspec.json.encode(_clean_docstrings(schema), order="sorted")
    return msgspec.json.format(text, indent=2) + b"\n"


def _clean_docstrings(schema: Any) -> Any:
    """Descriptions come from docstrings, whose indentation Python removes only from 3.13 on."""
    if isinstance(schema, dict):
        return {
            key: cleandoc(value) if key == "description" else _clean_docstrings(value)
            for key, value in schema.items()
        }
    return schema
