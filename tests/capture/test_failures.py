"""Every capture that was requested has exactly one outcome, a result or a failure."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from edge.capture.request import CaptureFailure, CaptureRequest
from edge.errors import CaptureError
from edge.vision.types import EncodedPacket, EncodedStream, Frame
from tests.support.captures import (
    Captures,
    at,
    encoded_frame,
    files_at_most,
    frame,
    offer,
    packets,
    request,
    settle,
    source_info,
    wall,
)

BOTH = ("still", "clip")


def both(index: int, event: str) -> CaptureRequest:
    return request(at(index), event, actions=BOTH, still=frame(index))


def failed(captures: Captures) -> list[tuple[str, tuple[str, ...]]]:
    return [(failure.kind, failure.event_ids) for failure in captures.failures]


def fat_packets(count: int, size: int) -> list[EncodedPacket]:
    """Packets of a video that plays, each with a unit of this size that decoders ignore."""
    filler = b"\0\0\1\x0c" + os.urandom(size).replace(b"\0", b"\1")
    return [EncodedPacket(p.data + filler, p.timestamp_ns, p.keyframe) for p in packets(count)]


def begin_packets(captures: Captures) -> None:
    captures.recorder.begin_stream(source_info(encoded=EncodedStream(320, 240)))


def test_finished_captures_are_not_failures(tmp_path: Path) -> None:
    with Captures(tmp_path) as captures:
        offer(captures, range(21))
        captures.recorder.trigger(both(20, "a"))
        offer(captures, range(21, 31))
        captures.recorder.trigger(both(30, "b"))
        offer(captures, range(31, 100))
    assert captures.failures == []
    assert captures.outcomes == [(e, k, "result") for e in "ab" for k in ("clip", "still")]


def test_a_request_too_many_fails_at_once(tmp_path: Path) -> None:
    with Captures(tmp_path) as captures:
        busy = threading.Event()
        captures.recorder._encoding.submit(busy.wait)
        for n in range(17):
            captures.recorder.trigger(request(at(n), f"e{n}", actions=("still",), still=frame(n)))
        assert captures.failures == [
            CaptureFailure(
                "still", "cam0", "person", ("e16",),
                "16 requests for captures were waiting already", wall(at(16)),
            )
        ]  # fmt: skip
        captures.recorder.trigger(both(17, "e17"))
        busy.set()
    assert failed(captures) == [("still", ("e16",)), ("still", ("e17",)), ("clip", ("e17",))]
    assert len(captures.results) == 16


def test_a_request_after_the_end_fails(tmp_path: Path) -> None:
    with Captures(tmp_path) as captures:
        pass
    for n in range(20):
        assert not captures.recorder.trigger(both(n, f"e{n}"))
    assert len(captures.failures) == 40
    assert {f.reason for f in captures.failures} == {"recording has stopped"}


def test_a_request_that_cannot_be_met_fails_with_its_reason(
    tmp_path: Path,
) -> None:
    with Captures(tmp_path) as captures:
        captures.recorder.trigger(request(at(0), "a", actions=BOTH))
    assert [(f.kind, f.reason) for f in captures.failures] == [
        ("still", "no picture came with the request"),
        ("clip", "event a has no clip: no video has come yet"),
    ]
    with Captures(tmp_path, clips=False) as captures:
        captures.recorder.trigger(both(0, "b"))
    assert captures.outcomes == [("b", "clip", "failure"), ("b", "still", "result")]
    assert captures.failures[0].reason == "no video is kept, as no rule captures clips"
    assert captures.errors == []


def test_a_disk_that_cannot_be_written_fails_all_until_it_can(tmp_path: Path) -> None:
    root = tmp_path / "captures"
    with Captures(root, pre_roll_s=1, post_roll_s=1) as captures:
        offer(captures, range(21))
        settle(captures)
        root.rmdir()
        root.write_text("a file where the folder was")
        captures.recorder.trigger(both(20, "a"))
        offer(captures, range(21, 25))
        captures.recorder.trigger(both(24, "b"))  # within the window of a clip that has failed
        offer(captures, range(25, 61))
        settle(captures)
        root.unlink()
        captures.recorder.trigger(both(60, "c"))
        offer(captures, range(61, 80))
    assert captures.outcomes == [
        (event, kind, "result" if event == "c" else "failure")
        for event in "abc"
        for kind in ("clip", "still")
    ]
    assert all("a file of that name exists already" in f.reason for f in captures.failures)
    assert len(captures.errors) == 3  # the clip is one error, and each still another


def test_no_room_fails_the_clip_and_the_events_that_would_join_it(tmp_path: Path) -> None:
    with Captures(tmp_path, max_bytes=1000) as captures:
        offer(captures, range(21))
        captures.recorder.trigger(request(at(20), "a"))
        offer(captures, range(21, 31))
        captures.recorder.trigger(request(at(30), "b"))
        offer(captures, range(31, 40))
    assert failed(captures) == [("clip", ("a",)), ("clip", ("b",))]
    assert all("capture.max_bytes" in f.reason for f in captures.failures)
    assert captures.results == []


def test_a_disk_that_fills_up_fails_all_events_of_the_clip(tmp_path: Path) -> None:
    with Captures(tmp_path, max_clip_s=600) as captures, files_at_most(500_000):
        begin_packets(captures)
        for n, packet in enumerate(fat_packets(40, 50_000)):
            captures.recorder.offer(encoded_frame(n, packet), wait=True)
            if n in (0, 2, 38):
                captures.recorder.trigger(request(at(n), f"e{n}"))
            settle(captures)
    assert failed(captures) == [("clip", ("e0", "e2")), ("clip", ("e38",))]
    assert captures.failures[0].reason == captures.failures[1].reason == captures.errors[0]
    assert "capture.max_clip_s" in captures.errors[0]
    assert captures.results == []


def test_a_clip_that_ends_early_is_a_result_and_later_events_fail(tmp_path: Path) -> None:
    with Captures(tmp_path, max_bytes=5_000_000, max_clip_s=600) as captures:
        begin_packets(captures)
        for n, packet in enumerate(fat_packets(60, 100_000)):
            captures.recorder.offer(encoded_frame(n, packet), wait=True)
            if n in (0, 30, 59):
                captures.recorder.trigger(request(at(n), f"e{n}"))
    assert captures.outcomes == [
        ("e0", "clip", "result"), ("e30", "clip", "result"), ("e59", "clip", "failure"),
    ]  # fmt: skip
    assert captures.failures[0].reason == captures.errors[0]


@pytest.mark.parametrize("blocked", [".mp4", ".json"])
def test_a_clip_that_cannot_be_completed_fails_for_all_its_events(
    tmp_path: Path, blocked: str
) -> None:
    with Captures(tmp_path, post_roll_s=1) as captures:
        offer(captures, range(21))
        captures.recorder.trigger(request(at(20), "a"))
        offer(captures, range(21, 25))
        captures.recorder.trigger(request(at(24), "b"))
        settle(captures)
        (part,) = tmp_path.rglob("*.edge-part")
        final = part.with_name(part.name[1:].removesuffix(".edge-part"))
        final.with_suffix(blocked).mkdir()
        offer(captures, range(25, 60))
    assert failed(captures) == [("clip", ("a", "b"))]
    assert captures.failures[0].reason == captures.errors[0]
    assert captures.results == []


def test_a_file_that_can_neither_be_listed_nor_removed_ends_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk becomes read-only between the still and its sidecar."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with Captures(tmp_path, clips=False) as captures:
        settle(captures)
        replace = Path.replace
        monkeypatch.setattr(
            Path,
            "replace",
            lambda part, final: read_only() if final.suffix == ".json" else replace(part, final),
        )
        monkeypatch.setattr(Path, "unlink", read_only)
        captures.recorder.trigger(request(at(0), "a", actions=("still",), still=frame(0)))
    assert failed(captures) == [("still", ("a",))]
    monkeypatch.undo()
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".edge-part", ".jpg"]
    with Captures(tmp_path, clips=False):
        pass
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".jpg", ".json"]


def test_stop_fails_the_captures_that_it_cannot_wait_for(tmp_path: Path) -> None:
    captures = Captures(tmp_path, clips=False)
    going_on = threading.Event()
    captures.on_capture = lambda result: captures.results.append(result) or going_on.wait()
    captures.recorder.start()
    for n in range(3):
        captures.recorder.trigger(request(at(n), f"e{n}", actions=("still",), still=frame(n)))
    with pytest.raises(CaptureError, match=r"capture-write.*the disk is too slow"):
        captures.recorder.stop(0.3)
    assert captures.outcomes == [
        ("e0", "still", "result"), ("e1", "still", "failure"), ("e2", "still", "failure"),
    ]  # fmt: skip
    assert captures.failures[0].reason == "recording stopped before it was written"
    going_on.set()
    captures.recorder.stop()
    assert len(captures.outcomes) == 3  # each event has its outcome already


def test_a_bug_in_a_thread_leaves_no_request_without_an_outcome(tmp_path: Path) -> None:
    captures = Captures(tmp_path)
    captures.recorder.start()
    offer(captures, range(20))
    captures.recorder.trigger(request(at(19), "open"))
    settle(captures)
    busy = threading.Event()
    captures.recorder._encoding.submit(busy.wait)
    captures.recorder.offer(Frame(20, at(20), wall(at(20)), None, None))  # type: ignore[arg-type]
    captures.recorder.trigger(both(20, "waiting"))
    busy.set()
    deadline_s = time.monotonic() + 10
    while captures.recorder.error is None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    with pytest.raises(AttributeError):
        captures.recorder.trigger(both(21, "late"))
    with pytest.raises(AttributeError):
        captures.recorder.stop()
    assert captures.outcomes == [
        ("late", "clip", "failure"), ("late", "still", "failure"), ("open", "clip", "result"),
        ("waiting", "clip", "failure"), ("waiting", "still", "failure"),
    ]  # fmt: skip
