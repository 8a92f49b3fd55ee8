"""Facts to messages."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from edge.capture.sidecar import TrackEntry, event_entry
from edge.config.schema import TriggerRule
from edge.daemon.publish import TrackChanges, capture_request, detection, trigger
from edge.messages import Track as TrackMessage
from edge.vision.motion import Motion
from edge.vision.pipeline import Analysis
from edge.vision.triggers import TriggerEvent
from edge.vision.types import Detections, Look, Track, TrackState
from tests.support.captures import frame

SIZE = (320, 240)
BOX = (10.0, 10.0, 50.0, 90.0)
STILL = Motion(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.bool_),
    np.zeros((4, 4), np.uint8),
)


def analysis(index: int, *tracks: Track, ended: tuple[Track, ...] = ()) -> Analysis:
    return Analysis(
        frame(index), STILL, (), None, Detections.empty(), np.zeros(0, np.int64), tracks, ended, ()
    )


def track(index: int, label: str, state: TrackState = TrackState.MOVING) -> Track:
    """A track that was looked at in this frame."""
    seen_ns = frame(index).timestamp_ns
    looks = (Look(index, seen_ns, BOX, 0.9, label),)
    return Track(1, label, 0.9, BOX, (0, 0), state, seen_ns, seen_ns, looks=looks)


def changes(*analyses: Analysis) -> list[TrackMessage]:
    made = TrackChanges()
    return [message for one in analyses for message in made(one, SIZE)]


def test_a_track_begins_is_updated_by_looks_and_ends() -> None:
    person = track(0, "person")
    gone = replace(person, state=TrackState.GONE)
    messages = changes(
        analysis(0, person), analysis(1, person), analysis(2, track(2, "person")),
        analysis(3, ended=(gone,)),
    )  # fmt: skip
    assert [message.change for message in messages] == ["new", "update", "end"]


def test_a_tentative_track_has_no_messages() -> None:
    tentative = track(0, "person", TrackState.TENTATIVE)
    assert changes(analysis(0, tentative), analysis(1, ended=(tentative,))) == []


def test_a_track_ends_under_the_label_that_it_began_with() -> None:
    """The label is part of the topic: a subscriber to "person" must receive the end."""
    messages = changes(
        analysis(0, track(0, "person")), analysis(1, track(1, "dog")),
        analysis(2, ended=(replace(track(2, "dog"), state=TrackState.GONE),)),
    )  # fmt: skip
    assert [(m.change, m.label) for m in messages] == [
        ("new", "person"), ("update", "dog"), ("end", "person"),
    ]  # fmt: skip


def test_a_detection_has_the_group_of_its_label() -> None:
    found = Detections(
        np.array([[10, 10, 30, 50], [40, 10, 60, 50]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([1, 0]),
    )
    seen = replace(analysis(0), detections=found, track_ids=np.array([7, 0]))
    message = detection(seen, (("person", ""), ("sheep", "animal")), SIZE)
    assert [(d.label, d.group, d.track_id) for d in message.detections] == [
        ("sheep", "animal", 7), ("person", "", None),
    ]  # fmt: skip


def test_messages_and_sidecars_have_the_group_of_the_label() -> None:
    sheep = replace(track(0, "sheep"), group="animal")
    (began, ended) = changes(
        analysis(0, sheep), analysis(1, ended=(replace(track(1, "person"), state=TrackState.GONE),))
    )
    assert [(m.label, m.group) for m in (began, ended)] == [("sheep", "animal")] * 2
    rule = TriggerRule(name="wild", labels=("animal",))
    look = sheep.looks[0]
    event = TriggerEvent(rule, sheep, (look,), look, frame(0), (), look.timestamp_ns)
    message = trigger(event, "e1", SIZE, 5.0)
    assert (message.label, message.group) == ("sheep", "animal")
    entry = event_entry(capture_request(event, "e1", "cam0", frame(0), 5.0)).track
    assert entry is not None
    assert (entry.label, entry.group) == ("sheep", "animal")
    assert b"group" not in msgspec.json.encode(replace_group(entry))


def replace_group(entry: TrackEntry) -> TrackEntry:
    return msgspec.structs.replace(entry, group="")
