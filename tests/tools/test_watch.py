"""One line for each message, as `edge watch` prints it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.client import Event
from edge.messages import decode
from edge.tools.watch import as_text

STORED = Path(__file__).resolve().parents[1] / "bus" / "stored" / "1"


def printed(name: str, old: bytes = b"", new: bytes = b"") -> str:
    """The plain text of a stored message, without its time; `old` in it replaced by `new`."""
    body = (STORED / f"{name}.json").read_bytes()
    assert old in body
    event = Event("topic", decode([b"topic", body.replace(old, new)])[0])
    return re.sub(r"^[\d:.]+ ", "", as_text(event).plain)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("detection", "cam0 detection 2 invocation(s): person 0.88, dog 0.88"),
        ("detection-empty", "cam0 detection 1 invocation(s): nothing"),
        ("track-new", "cam0 track     new person #7 0.88 tentative"),
        ("trigger", "cam0 trigger   visitor: person #7 0.88 in door, gar.den, after 94 ms"),
        ("capture-still", "cam0 capture   /c/a.jpg (0.12 MB)"),
        ("capture-clip", "cam0 capture   /c/ü.mp4 (3.46 MB, 9.8 s)"),
        ("health", "cam0 health    running, 15.0 fps, 7.5 invocations/s, 1 tracks"),
        ("health-degraded", "cam0 health    degraded, 15.0 fps, 7.5 invocations/s, 1 tracks; "
                            "the picture is black"),
    ],
)  # fmt: skip
def test_each_kind_of_message_is_one_line(name: str, line: str) -> None:
    assert printed(name) == line


def test_a_group_follows_the_label() -> None:
    sheep = b'"label":"sheep","group":"animal"'
    line = "cam0 trigger   visitor: sheep (animal) #7 0.88 in door, gar.den, after 94 ms"
    assert printed("trigger", b'"label":"person"', sheep) == line
    assert "sheep (animal) #7" in printed("track-new", b'"label":"person"', sheep)
    assert ": sheep (animal) 0.88, dog 0.88" in printed("detection", b'"label":"person"', sheep)


def test_a_failed_capture_shows_its_reason() -> None:
    line = printed("capture-clip", b'"duration_s":9.75', b'"failure":"the disk is full"')
    assert line == "cam0 capture   clip of visitor: the disk is full"


def test_brackets_in_names_are_printed() -> None:
    assert "[red]: person" in printed("trigger", b'"visitor"', b'"[red]"')
    assert "/c/[bold].jpg" in printed("capture-still", b"/c/a.jpg", b"/c/[bold].jpg")
