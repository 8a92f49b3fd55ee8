"""Messages stored as a schema version published them must stay readable for the next version.

`stored/1` was published by the first release of version 1. Its files never change. When version 2
becomes current, a folder `stored/2` joins it; `stored/1` goes with version 3.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge import messages
from edge.messages import (
    KINDS,
    AnyCommand,
    AnyReply,
    MessageError,
    decode,
    decode_command,
    decode_reply,
    encode,
    encode_command,
    encode_reply,
    topic_of,
)

STORED = Path(__file__).parent / "stored"
VERSIONS = sorted(int(folder.name) for folder in STORED.iterdir())
FILES = sorted(STORED.glob("*/*.json"))
MESSAGES = [path for path in FILES if not path.name.startswith(("command-", "reply-"))]
COMMANDS = [path for path in FILES if path.name.startswith("command-")]
REPLIES = [path for path in FILES if path.name.startswith("reply-")]
TOPICS = {
    "detection": "detection.cam0",
    "detection-empty": "detection.cam0",
    "track-new": "track.cam0.person.new",
    "track-update": "track.cam0.person.update",
    "track-end": "track.cam0.person.end",
    "trigger": "trigger.cam0.visitor",
    "capture-still": "capture.cam0.visitor",
    "capture-clip": "capture.cam0.visitor",
    "count": "count.cam0.gate",
    "stay": "stay.cam0.pond",
    "presence": "presence.cam0",
    "health": "health.cam0",
    "health-degraded": "health.cam0",
    "health-repeated": "health.cam0",
}


@pytest.fixture(params=["the version of the message is current", "the next version is current"])
def current(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The newest schema version that readers accept."""
    version = VERSIONS[-1] + int(str(request.param).startswith("the next"))
    monkeypatch.setattr(messages, "ACCEPTED", (version - 1, version))
    return version


def contained(part: object, whole: object) -> bool:
    """Whether `whole` equals `part`, apart from fields that only `whole` has."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and contained(part[key], whole[key]) for key in part)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(contained, part, whole))
    return part == whole


def test_every_kind_of_every_accepted_version_is_stored() -> None:
    assert messages.SCHEMA_VERSION in VERSIONS
    for version in set(messages.ACCEPTED) - {0}:  # version 1 was the first
        stored = {path.stem for path in (STORED / str(version)).iterdir()}
        assert {name.partition("-")[0] for name in stored} >= {kind.kind for kind in KINDS}
        for prefix, kinds in (("command", AnyCommand), ("reply", AnyReply)):
            tags = {kind.__struct_config__.tag for kind in kinds.__args__}
            assert {f"{prefix}-{tag}" for tag in tags} <= stored


@pytest.mark.usefixtures("current")
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_stored_message_is_read_without_losing_a_field(path: Path) -> None:
    body = path.read_bytes()
    topic = TOPICS[path.stem].encode()
    message, jpeg = decode([topic, body, b"jpeg"])
    assert jpeg == b"jpeg"
    assert message.header is not None
    assert message.header.schema_version == int(path.parent.name)
    assert topic_of(message, message.header.camera).encode() == topic
    assert contained(msgspec.json.decode(body), msgspec.json.decode(encode(message)[1]))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_stored_command_is_read_without_losing_a_field(path: Path) -> None:
    body = path.read_bytes()
    again = encode_command(decode_command(body))
    assert contained(msgspec.json.decode(body), msgspec.json.decode(again))


@pytest.mark.usefixtures("current")
@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_a_stored_reply_is_read_without_losing_a_field(path: Path) -> None:
    body = path.read_bytes()
    reply, jpeg = decode_reply([body, b"jpeg"])
    assert jpeg == b"jpeg"
    assert contained(msgspec.json.decode(body), msgspec.json.decode(encode_reply(reply)[0]))


def test_a_stored_message_two_versions_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "ACCEPTED", (2, 3))
    refusal = r"schema version 1 .* reads 2 and 3: update the daemon"
    with pytest.raises(MessageError, match=refusal):
        decode([b"t", (STORED / "1" / "trigger.json").read_bytes()])
    with pytest.raises(MessageError, match=refusal):
        decode_reply([(STORED / "1" / "reply-done.json").read_bytes()])


def test_a_field_added_since_has_its_default() -> None:
    capture, _ = decode([b"t", (STORED / "1" / "capture-still.json").read_bytes()])
    assert isinstance(capture, messages.Capture)
    assert capture.failure == ""
    detection, _ = decode([b"t", (STORED / "1" / "detection.json").read_bytes()])
    assert isinstance(detection, messages.Detection)
    assert {found.group for found in detection.detections} == {""}
    health, _ = decode([b"t", (STORED / "1" / "health.json").read_bytes()])
    assert isinstance(health, messages.Health)
    assert (health.places, health.muted) == ((), 0)
