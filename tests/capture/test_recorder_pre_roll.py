"""The pre-roll as pictures, encoded after a trigger: real pictures, encoder and files."""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from edge.capture.video import feed
from edge.config.schema import CaptureSettings
from edge.runtime.machine import memory_bytes
from tests.support.captures import (
    FPS,
    Captures,
    at,
    frame,
    offer,
    play,
    request,
    settle,
    source_info,
    wall,
)

PICTURE_BYTES = 320 * 240 * 3 // 2
ENCODES_ALWAYS = 1  # byte: no picture fits


class Lease:
    """A camera's buffer; the camera gets it back when this is gone."""


def marks(captures: Captures) -> list[list[int]]:
    return [play(clip.path).marks for clip in captures.clips]


def encoded(captures: Captures) -> int:
    """Number of packets that are kept."""
    settle(captures)
    return len(captures.recorder._feed._cutter._ring)


def hold(captures: Captures) -> threading.Event:
    """Stops the encoding thread until the event is set."""
    go_on, stopped = threading.Event(), threading.Event()
    captures.recorder._encoding.submit(lambda: (stopped.set(), go_on.wait(20)))
    assert stopped.wait(20)
    return go_on


def offer_leased(captures: Captures, indices: Iterable[int]) -> list[weakref.ref[Lease]]:
    leases = []
    for n in indices:
        lease = Lease()
        captures.recorder.offer(replace(frame(n), lease=lease), wait=True)
        leases.append(weakref.ref(lease))
    return leases


def test_nothing_is_encoded_before_a_trigger_and_after_its_clip(tmp_path):
    with Captures(tmp_path, pre_roll_s=2, post_roll_s=1) as captures:
        offer(captures, range(100))
        assert encoded(captures) == 0
        captures.recorder.trigger(request(at(99)))
        offer(captures, range(100, 115))
        assert encoded(captures) == 32  # 79 to 109, and one that ended the clip
        offer(captures, range(115, 150))
        assert encoded(captures) == 32
    assert marks(captures) == [list(range(79, 110))]


def test_the_clip_begins_exactly_with_the_pre_roll_and_has_the_frames_times(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(101))
        captures.recorder.trigger(request(at(100)))
        offer(captures, range(101, 160))
    (clip,) = captures.clips
    played = play(clip.path)
    assert played.marks == list(range(70, 151))
    assert played.times_s == pytest.approx([n / FPS for n in range(81)], abs=1e-4)
    assert (clip.wall_ns, clip.frames) == (wall(at(70)), 81)


@pytest.mark.parametrize("leased", [False, True])
def test_clips_in_a_row_each_have_their_pre_roll(tmp_path, leased):
    with Captures(tmp_path, pre_roll_s=2, post_roll_s=0.5) as captures:
        for n in range(160):
            offer_leased(captures, [n]) if leased else offer(captures, [n])
            if n in (50, 58, 70, 140):
                captures.recorder.trigger(request(at(n), f"e{n}"))
    starts = [30, 30, 50, 120]  # the second and third may begin with an earlier key frame
    for seen, start, last in zip(marks(captures), starts, (55, 63, 75, 145), strict=True):
        assert start - 10 < seen[0] <= max(start, last - 25)
        assert seen == list(range(seen[0], last + 1))
    assert captures.recorder.stats()["frames_dropped"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_clips_are_the_same_as_when_everything_is_encoded(tmp_path, seed):
    chance = random.Random(seed)
    rolls: dict[str, Any] = {
        "pre_roll_s": chance.choice([0, 1, 2]),
        "post_roll_s": chance.choice([0, 0.5, 1.5]),
    }
    triggers = sorted(chance.sample(range(120), 8))
    clips = []
    for name, bytes_ in (("lazy", 0), ("always", ENCODES_ALWAYS)):
        with Captures(tmp_path / name, pre_roll_bytes=bytes_, **rolls) as captures:
            for n in range(130):
                offer(captures, [n])
                if n in triggers:
                    captures.recorder.trigger(request(at(n), f"e{n}"))
        clips.append([(clip.event_ids, play(clip.path).marks) for clip in captures.clips])
        for events, seen in clips[-1]:
            wanted = int(events[0][1:]) - int(rolls["pre_roll_s"] * FPS)
            assert seen[0] <= max(wanted, 0)
            assert seen == list(range(seen[0], seen[-1] + 1))
    lazy, always = clips
    assert [(events, seen[-1]) for events, seen in lazy] == [
        (events, seen[-1]) for events, seen in always
    ]


def test_buffers_of_a_camera_are_returned_and_memory_is_bounded(tmp_path):
    bound = 45 * PICTURE_BYTES
    with Captures(tmp_path, pre_roll_bytes=bound) as captures:
        leases = offer_leased(captures, range(100))
        settle(captures)
        ring = captures.recorder._feed._ring
        assert ring is not None
        assert [lease() for lease in leases] == [None] * 100
        assert len(ring) == 45
        assert ring.buffers * PICTURE_BYTES <= bound
        captures.recorder.trigger(request(at(99)))
        offer_leased(captures, range(100, 180))
        settle(captures)
        assert ring.buffers * PICTURE_BYTES <= bound
    assert marks(captures) == [list(range(69, 150))]


def test_a_bound_that_is_too_low_encodes_all_the_time(tmp_path, caplog):
    caplog.set_level("INFO")
    with Captures(tmp_path, pre_roll_bytes=39 * PICTURE_BYTES) as captures:  # 4 s are 40 pictures
        offer(captures, range(60))
        assert encoded(captures) == 60
        captures.recorder.trigger(request(at(59)))
    assert marks(captures)[0][-1] == 59
    assert marks(captures)[0][0] <= 29
    assert "capture.pre_roll_bytes" in caplog.text


def test_frames_that_come_faster_than_stated_lose_no_pre_roll(tmp_path, caplog):
    caplog.set_level("INFO")
    with Captures(tmp_path, pre_roll_bytes=40 * PICTURE_BYTES) as captures:
        captures.recorder.begin_stream(source_info(fps=5.0))
        for n in range(90):
            captures.recorder.offer(frame(n, fps=30.0), wait=True)
        captures.recorder.trigger(request(at(89 / 3)))
    assert marks(captures) == [list(range(90))]
    assert "higher than the source states" in caplog.text


def test_what_the_encoder_cannot_follow_is_dropped_oldest_first_and_counted(tmp_path, monkeypatch):
    with Captures(tmp_path, pre_roll_bytes=45 * PICTURE_BYTES) as captures:
        offer(captures, range(60))
        settle(captures)
        monkeypatch.setattr(captures.recorder._feed, "_go_on", lambda: None)  # an endless delay
        captures.recorder.trigger(request(at(59)))  # from 29 on
        for n in range(60, 90):
            captures.recorder.offer(frame(n), wait=False)
            while captures.recorder.stats()["encoding_waiting"]:
                pass
    (seen,) = marks(captures)
    assert seen == list(range(45, 90))
    assert captures.recorder.stats()["frames_dropped"] == 45 - 29


def test_a_recording_played_fast_loses_nothing(tmp_path):
    with Captures(tmp_path, pre_roll_bytes=40 * PICTURE_BYTES, post_roll_s=30) as captures:
        offer(captures, range(50))
        captures.recorder.trigger(request(at(49)))
        offer(captures, range(50, 300))
    assert marks(captures) == [list(range(19, 300))]
    assert captures.recorder.stats()["frames_dropped"] == 0


def test_another_size_in_the_middle_completes_the_clip_with_its_pre_roll(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(60))
        go_on = hold(captures)
        captures.recorder.trigger(request(at(59), "small"))
        captures.recorder.offer(frame(60, width=640, height=480))
        go_on.set()
        offer(captures, range(61, 90), width=640, height=480)
        captures.recorder.trigger(request(at(89), "large"))
    assert marks(captures) == [list(range(29, 60)), list(range(60, 90))]


def test_stopping_encodes_the_rest_of_the_clip(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(100))
        captures.recorder.trigger(request(at(99)))
    assert marks(captures) == [list(range(69, 100))]


def test_stopping_takes_no_longer_than_it_may_and_counts_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "_FINISH_S", 0.0)
    with Captures(tmp_path) as captures:
        offer(captures, range(100))
        go_on = hold(captures)
        captures.recorder.trigger(request(at(99), "first"))
        captures.recorder._encoding.submit(captures.recorder._feed.end_clip)
        go_on.set()
    (outcome,) = captures.outcomes
    assert outcome[:2] == ("first", "clip")
    (seen,) = marks(captures)
    assert seen[0] == 69
    assert len(seen) + captures.recorder.stats()["frames_dropped"] == 31


def test_more_triggers_than_may_wait_all_have_an_outcome(tmp_path):
    with Captures(tmp_path, pre_roll_s=1, post_roll_s=0) as captures:
        for n in range(40):
            offer(captures, [n])
            assert captures.recorder.trigger(request(at(n), f"e{n}"))
            settle(captures)
        go_on = hold(captures)
        taken = [captures.recorder.trigger(request(at(39), f"late{n}")) for n in range(20)]
        go_on.set()
    assert taken == [True] * 16 + [False] * 4
    assert len(captures.outcomes) == 60


def test_the_default_leaves_room_for_the_rest_of_a_small_machine():
    default = feed.pre_roll_bytes(CaptureSettings())
    assert default == min(160 << 20, memory_bytes() // 5)
    assert feed.pre_roll_bytes(CaptureSettings(pre_roll_bytes=7)) == 7
