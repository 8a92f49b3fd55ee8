"""Several stills of one event, stills after it, and clips that last as long as an object stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.capture.request import CaptureRequest, LaterStill, Presence, TrackInfo
from edge.capture.sidecar import Sidecar, parse_sidecar, read_sidecar
from edge.capture.stored.storage import StorageGuard
from edge.config.schema import MAX_STILLS, CaptureSettings
from edge.errors import CaptureError
from edge.export.upload import waiting
from edge.web.captures import Captures as Page
from tests.support.captures import Captures, at, frame, offer, play, request

LATER = TrackInfo(7, "person", 0.8, (60, 20, 160, 220), (0.5, 0.2, 0.7, 0.9))


def burst(event: str = "e1", **fields: Any) -> CaptureRequest:
    return request(at(0), event, actions=("still",), still=frame(0), follows=True, **fields)


def sidecar_of(captures: Captures) -> Sidecar:
    found = read_sidecar(captures.stills[0].sidecar)
    assert found is not None
    return found


def take_burst(root: Path) -> Captures:
    with Captures(root, clips=False) as captures:
        assert captures.recorder.trigger(burst())
        captures.recorder.add_still(LaterStill("e1", frame(10), LATER, last=False))
        captures.recorder.add_still(LaterStill("e1", frame(20), None))
    return captures


def test_a_burst_is_several_stills_of_one_capture(tmp_path: Path) -> None:
    captures = take_burst(tmp_path)
    assert (captures.failures, captures.errors) == ([], [])
    stem = captures.stills[0].path.stem
    names = [result.path.name for result in captures.stills]
    assert names == [f"{stem}.jpg", f"{stem}.2.jpg", f"{stem}.3.jpg"]
    assert [result.further for result in captures.stills] == [False, True, True]
    assert all(result.path.is_file() for result in captures.stills)
    sidecar = sidecar_of(captures)
    assert [file.name for file in sidecar.files] == names
    boxes = [file.track.box_xyxy if file.track else None for file in sidecar.files]
    assert boxes == [None, LATER.box_xyxy, None]
    assert len({file.time for file in sidecar.files}) == 3


def test_each_still_has_the_box_of_its_own_object_in_its_metadata(tmp_path: Path) -> None:
    first, second, third = (result.path.read_bytes() for result in take_burst(tmp_path).stills)
    assert b'stArea:x="0.20000"' in first
    assert b'stArea:x="0.60000"' in second
    assert b"mwg-rs:Area" not in third, "the object had left"


def test_all_stills_are_on_the_page_and_uploaded(tmp_path: Path) -> None:
    captures = take_burst(tmp_path)
    names = [str(result.path.relative_to(tmp_path)) for result in captures.stills]
    (entry,) = Page(tmp_path, "cam0").newest(5)
    assert [entry.still, *entry.more_stills] == [name.removeprefix("cam0/") for name in names]
    date, _, name = entry.more_stills[0].partition("/")
    assert Page(tmp_path, "cam0").file(date, name) == (captures.stills[1].path, "image/jpeg")
    ((finished,), unfinished) = waiting(tmp_path)
    assert (sorted(finished.media), unfinished) == (sorted(names), 0)


def test_retention_deletes_every_still_of_an_old_burst(tmp_path: Path) -> None:
    take_burst(tmp_path)
    settings = CaptureSettings(directory=str(tmp_path), min_free_bytes=0, max_bytes=40_000)
    guard = StorageGuard(settings)
    guard.scan()
    guard.admit(39_999)
    assert guard.deleted == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_sidecar_lists_no_more_stills_than_an_event_can_have(tmp_path: Path) -> None:
    captures = take_burst(tmp_path)
    path = captures.stills[0].sidecar
    data = path.read_bytes()
    assert parse_sidecar(data.replace(b".3.jpg", b".%d.jpg" % MAX_STILLS), path) is not None
    for name in (b".%d.jpg" % (MAX_STILLS + 1), b".1.jpg", b".02.jpg", b".jpg.jpg"):
        with pytest.raises(CaptureError, match="not of this capture"):
            parse_sidecar(data.replace(b".3.jpg", name), path)


def test_an_event_whose_still_comes_later_has_one_outcome(tmp_path: Path) -> None:
    with Captures(tmp_path, clips=False) as captures:
        best = request(at(0), "best", actions=("still",), follows=True)
        none = request(at(0), "none", actions=("still",), follows=True)
        assert captures.recorder.trigger(best)
        assert captures.recorder.trigger(none)
        captures.recorder.add_still(LaterStill("best", frame(30), LATER))
        captures.recorder.add_still(LaterStill("none", None))
    assert captures.outcomes == [("best", "still", "result"), ("none", "still", "failure")]
    (still,) = captures.stills
    assert still.path.name == still.sidecar.with_suffix(".jpg").name
    (file,) = sidecar_of(captures).files
    assert file.track is not None
    assert file.track.box_xyxy == LATER.box_xyxy


def test_a_still_that_never_came_fails_when_recording_stops(tmp_path: Path) -> None:
    with Captures(tmp_path, clips=False) as captures:
        assert captures.recorder.trigger(request(at(0), "best", actions=("still",), follows=True))
    assert captures.outcomes == [("best", "still", "failure")]


def clip_marks(root: Path, presence: Presence, ends_at: int, **settings: Any) -> list[int]:
    """Frames in the clip of an object that is in view from frame 20 to `ends_at`."""
    with Captures(root, pre_roll_s=0, post_roll_s=1, **settings) as captures:
        offer(captures, range(21))
        captures.recorder.trigger(request(at(20), presence=presence))
        for n in range(21, 121):
            if n <= ends_at:
                presence.until_ns = at(n)
            presence.ended = n > ends_at
            offer(captures, [n])
    (clip,) = captures.clips
    return play(clip.path).marks


def test_a_clip_lasts_as_long_as_its_object_stays(tmp_path: Path) -> None:
    assert clip_marks(tmp_path, Presence(at(20)), ends_at=70)[-1] == 80


def test_a_clip_is_no_longer_than_its_limit_while_its_object_stays(tmp_path: Path) -> None:
    marks = clip_marks(tmp_path, Presence(at(20)), ends_at=120, max_clip_s=4.0)
    assert len(marks) == 41


def test_an_event_within_a_clip_lengthens_it_until_its_object_is_gone(tmp_path: Path) -> None:
    presence = Presence(at(25))
    with Captures(tmp_path, pre_roll_s=0, post_roll_s=1) as captures:
        offer(captures, range(21))
        captures.recorder.trigger(request(at(20), "plain"))
        offer(captures, range(21, 26))
        captures.recorder.trigger(request(at(25), "stays", presence=presence))
        presence.until_ns, presence.ended = at(60), True
        offer(captures, range(26, 100))
    (clip,) = captures.clips
    assert clip.event_ids == ("plain", "stays")
    assert play(clip.path).marks[-1] == 70
