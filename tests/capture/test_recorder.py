from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import pytest

from edge.capture.stored.storage import StorageGuard
from edge.config.schema import CaptureSettings
from edge.errors import CaptureError, PermanentError
from edge.runtime.worker import NICE
from edge.vision.types import EncodedPacket, EncodedStream, Frame
from tests.support.captures import (
    FPS,
    SECOND,
    WALL_NS,
    Captures,
    at,
    encoded_frame,
    footage,
    frame,
    offer,
    packets,
    play,
    request,
    settle,
    source_info,
    wall,
)


def offer_packets(captures: Captures, indices: Iterable[int], wait: bool = True) -> list[bool]:
    """Frames of a source that gives H.264 by itself, one packet each."""
    stream = packets(max(indices) + 1)
    return [captures.recorder.offer(encoded_frame(n, stream[n]), wait=wait) for n in indices]


def sidecar(path: Path) -> dict:
    return json.loads(path.read_text())


def all_files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_clip_reaches_from_pre_roll_to_post_roll(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(101))
        captures.recorder.trigger(request(at(100)))
        offer(captures, range(101, 200))
    (clip,) = captures.clips
    played = play(clip.path)
    assert 60 < played.marks[0] <= 70
    assert played.marks == list(range(played.marks[0], 151))
    assert clip.frames == len(played.marks)
    assert clip.duration_s == pytest.approx(clip.frames / FPS)
    assert clip.wall_ns == wall(at(played.marks[0]))
    assert clip.event_ids == ("e1",)
    assert captures.errors == []


@pytest.mark.parametrize(("post_roll_s", "last"), [(0, 30), (1.25, 42), (2, 50)])
def test_rolls_are_configured(tmp_path, post_roll_s, last):
    with Captures(tmp_path, pre_roll_s=0, post_roll_s=post_roll_s) as captures:
        offer(captures, range(31))
        captures.recorder.trigger(request(at(30)))
        offer(captures, range(31, 60))
    marks = play(captures.clips[0].path).marks
    assert 20 < marks[0] <= 30
    assert marks[-1] == last


def test_a_trigger_right_at_the_start_gets_the_video_there_is(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(3))
        captures.recorder.trigger(request(at(2)))
        offer(captures, range(3, 70))
    assert play(captures.clips[0].path).marks == list(range(53))


def test_the_end_of_the_stream_ends_the_clip(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(20))
        captures.recorder.trigger(request(at(19)))
        offer(captures, range(20, 25))
    assert play(captures.clips[0].path).marks == list(range(25))


def test_a_trigger_may_come_long_after_its_frame(tmp_path):
    with Captures(tmp_path, pre_roll_s=2, post_roll_s=1) as captures:
        offer(captures, range(100))
        captures.recorder.trigger(request(at(75)))  # its post-roll is over already
        offer(captures, range(100, 110))
    marks = play(captures.clips[0].path).marks
    assert marks[0] <= 55
    assert marks[-1] == 85


def test_further_triggers_lengthen_the_clip(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(41))
        captures.recorder.trigger(request(at(40), "first"))
        offer(captures, range(41, 81))
        captures.recorder.trigger(request(at(80), "second", rule="other"))
        offer(captures, range(81, 200))
    (clip,) = captures.clips
    assert play(clip.path).marks[-1] == 130
    assert (clip.event_ids, clip.rule) == (("first", "second"), "person")
    events = sidecar(clip.sidecar)["events"]
    assert [(e["event_id"], e["rule"]) for e in events] == [
        ("first", "person"),
        ("second", "other"),
    ]


def test_a_clip_ends_at_its_longest_and_the_next_begins(tmp_path):
    with Captures(tmp_path, max_clip_s=10) as captures:
        for n in range(300):
            offer(captures, [n])
            if n % 20 == 0:
                captures.recorder.trigger(request(at(n), f"e{n}"))
    assert len(captures.clips) >= 3
    assert all(clip.duration_s <= 10.2 for clip in captures.clips)
    listed = [event for clip in captures.clips for event in clip.event_ids]
    assert listed == [f"e{n}" for n in range(0, 300, 20)]
    seen = {mark for clip in captures.clips for mark in play(clip.path).marks}
    assert {n for n in range(300) if n % 20 == 0} <= seen


def test_the_longest_clip_never_cuts_the_first_trigger_short(tmp_path):
    with Captures(tmp_path, max_clip_s=1) as captures:
        offer(captures, range(41))
        captures.recorder.trigger(request(at(40)))
        offer(captures, range(41, 51))
        captures.recorder.trigger(request(at(50), "e2"))
        offer(captures, range(51, 120))
    marks = play(captures.clips[0].path).marks
    assert (marks[0] <= 10, marks[-1]) == (True, 90)


def test_triggers_far_apart_make_two_clips(tmp_path):
    with Captures(tmp_path, pre_roll_s=1, post_roll_s=1) as captures:
        for n in range(100):
            offer(captures, [n])
            if n in (20, 60):
                captures.recorder.trigger(request(at(n), f"e{n}"))
    assert [clip.event_ids for clip in captures.clips] == [("e20",), ("e60",)]


def test_a_still_and_a_clip_share_a_name_and_a_sidecar(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(41))
        both = request(at(40), actions=("still", "clip"), still=frame(38))
        captures.recorder.trigger(both)
        offer(captures, range(41, 100))
    (still,), (clip,) = captures.stills, captures.clips
    assert captures.results.index(still) == 0
    day = datetime.fromtimestamp(WALL_NS / 1e9).astimezone()
    folder = tmp_path / "cam0" / f"{day:%Y-%m-%d}"
    stem = f"cam0_{datetime.fromtimestamp(wall(at(40)) // SECOND, UTC):%Y%m%dT%H%M%S}.250Z_person_1"
    assert still.path == folder / f"{stem}.jpg"
    assert clip.path == folder / f"{stem}.mp4"
    assert still.sidecar == clip.sidecar == folder / f"{stem}.json"
    assert all_files(tmp_path) == [f"{stem}.jpg", f"{stem}.json", f"{stem}.mp4"]
    assert cv2.imread(str(still.path)).shape == (240, 320, 3)
    assert still.wall_ns == wall(at(38))

    written = sidecar(clip.sidecar)
    assert (written["camera"], written["model"]) == ("cam0", "person_ssdlite")
    assert [(f["name"], f["kind"], f["bytes"]) for f in written["files"]] == [
        (still.path.name, "still", still.path.stat().st_size),
        (clip.path.name, "clip", clip.path.stat().st_size),
    ]
    assert written["files"][1]["frames"] == clip.frames
    (event,) = written["events"]
    when = datetime.fromisoformat(event["time"])
    assert when.utcoffset() is not None
    assert when.timestamp() == pytest.approx(wall(at(40)) / 1e9, abs=0.001)
    assert (event["event_id"], event["latency_ms"]) == ("e1", 87.2)


def test_each_rule_has_a_still_of_its_own_beside_the_shared_clip(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(31))
        for rule in ("door", "yard"):
            captures.recorder.trigger(
                request(at(30), rule, rule=rule, actions=("still", "clip"), still=frame(30))
            )
        offer(captures, range(31, 100))
    assert [still.rule for still in captures.stills] == ["door", "yard"]
    (clip,) = captures.clips
    assert clip.event_ids == ("door", "yard")
    assert [len(sidecar(s.sidecar)["files"]) for s in captures.stills] == [2, 1]
    assert sum(name.endswith(".json") for name in all_files(tmp_path)) == 2


def test_two_events_of_the_same_time_do_not_overwrite_each_other(tmp_path):
    with Captures(tmp_path, clips=False) as captures:
        for event in ("a", "b"):
            captures.recorder.trigger(
                request(at(5), event, actions=("still",), still=frame(5), track=None)
            )
    names = all_files(tmp_path)
    assert len(names) == 4
    assert sum("_person_2." in name for name in names) == 2


def test_nothing_is_encoded_where_no_rule_wants_clips(tmp_path):
    with Captures(tmp_path, clips=False) as captures:
        offer(captures, range(50))
        captures.recorder.trigger(
            request(at(40), actions=("still", "clip"), still=frame(40)),
        )
    assert captures.recorder._feed._encoder is None
    assert [result.kind for result in captures.results] == ["still"]
    assert captures.recorder.stats()["frames"] == 0


def test_packets_of_the_source_are_not_encoded_again(tmp_path):
    with Captures(tmp_path, pre_roll_s=1, post_roll_s=1) as captures:
        captures.recorder.begin_stream(source_info(encoded=EncodedStream(320, 240)))
        assert all(offer_packets(captures, range(60)))
        captures.recorder.trigger(request(at(55)))
        assert captures.recorder._feed._encoder is None
    marks = play(captures.clips[0].path).marks
    assert 35 < marks[0] <= 45
    assert marks[-1] == 59


def test_packets_that_wait_for_a_busy_thread_are_kept(tmp_path):
    with Captures(tmp_path, pre_roll_s=6) as captures:
        captures.recorder.begin_stream(source_info(encoded=EncodedStream(320, 240)))
        busy = threading.Event()
        captures.recorder._encoding.submit(busy.wait)
        assert all(offer_packets(captures, range(60), wait=False))
        busy.set()
        captures.recorder.trigger(request(at(59)))
    assert play(captures.clips[0].path).marks == list(range(60))


def test_dropped_packets_cost_only_the_rest_of_their_group(tmp_path):
    with Captures(tmp_path, pre_roll_s=6) as captures:
        captures.recorder.begin_stream(source_info(encoded=EncodedStream(320, 240)))
        busy = threading.Event()
        captures.recorder._encoding.submit(busy.wait, 252)  # leaves room for 4 packets
        taken = offer_packets(captures, range(45), wait=False)
        busy.set()
        key = next(n for n, p in enumerate(packets(60)) if p.keyframe and n >= 45)
        taken += offer_packets(captures, range(45, 60))
        captures.recorder.trigger(request(at(59)))
    assert taken == [True] * 4 + [False] * (key - 4) + [True] * (60 - key)
    assert play(captures.clips[0].path).marks == [0, 1, 2, 3, *range(key, 60)]
    assert captures.recorder.stats()["frames_dropped"] == key - 4


def test_frames_that_find_the_queue_full_are_dropped_and_counted(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(2))
        busy = threading.Event()
        captures.recorder._encoding.submit(busy.wait)
        while captures.recorder.stats()["encoding_waiting"]:
            time.sleep(0.001)
        taken = [captures.recorder.offer(frame(n)) for n in range(2, 20)]
        captures.recorder.trigger(request(at(19)))
        busy.set()
        offer(captures, range(20, 30))
    assert taken == [True] * 4 + [False] * 14
    played = play(captures.clips[0].path)
    assert played.marks == [0, 1, 2, 3, 4, 5, *range(20, 30)]
    assert played.times_s == pytest.approx([mark / FPS for mark in played.marks], abs=1e-3)
    stats = captures.recorder.stats()
    assert (stats["frames"], stats["frames_dropped"]) == (16, 14)


def test_a_slow_disk_costs_no_frames(tmp_path):
    captures = Captures(tmp_path)
    slow = threading.Event()
    captures.on_capture = lambda result: slow.wait() and captures.results.append(result)
    with captures:
        offer(captures, range(20))
        captures.recorder.trigger(request(at(19), actions=("still", "clip"), still=frame(19)))
        offer(captures, range(20, 40))  # would never return if it waited for the disk
        assert captures.results == []
        slow.set()
    assert play(captures.clips[0].path).marks == list(range(40))


def test_too_many_triggers_at_once_are_dropped_and_counted(tmp_path):
    with Captures(tmp_path, clips=False) as captures:
        busy = threading.Event()
        captures.recorder._encoding.submit(busy.wait)
        still = frame(1)
        taken = [
            captures.recorder.trigger(request(at(n), f"e{n}", actions=("still",), still=still))
            for n in range(20)
        ]
        busy.set()
    assert taken == [True] * 16 + [False] * 4
    assert len(captures.stills) == 16
    stats = captures.recorder.stats()
    assert (stats["triggers"], stats["triggers_dropped"], stats["stills"]) == (16, 4, 16)


def test_a_disk_that_fails_is_a_sentence_and_recording_goes_on(tmp_path):
    root = tmp_path / "captures"
    with Captures(root, pre_roll_s=1, post_roll_s=1) as captures:
        offer(captures, range(21))
        settle(captures)
        root.rmdir()
        root.write_text("a file where the folder was")
        captures.recorder.trigger(request(at(20), actions=("still", "clip"), still=frame(20)))
        offer(captures, range(21, 61))
        settle(captures)
        root.unlink()
        captures.recorder.trigger(request(at(60), "later"))
        offer(captures, range(61, 80))
    assert len(captures.errors) == 2
    assert all("a file of that name exists already" in sentence for sentence in captures.errors)
    assert [result.event_ids for result in captures.results] == [("later",)]
    assert captures.recorder.stats()["errors"] == 2


def test_a_full_store_ends_a_clip_and_keeps_the_part_that_is_written(tmp_path):
    filler = b"\0\0\1\x0c" + os.urandom(100_000).replace(
        b"\0", b"\1"
    )  # a unit that decoders ignore
    with Captures(tmp_path, max_bytes=5_000_000, max_clip_s=600) as captures:
        captures.recorder.begin_stream(source_info(encoded=EncodedStream(320, 240)))
        for n, packet in enumerate(packets(60)):
            fat = EncodedPacket(packet.data + filler, packet.timestamp_ns, packet.keyframe)
            captures.recorder.offer(encoded_frame(n, fat), wait=True)
            if n == 0:
                captures.recorder.trigger(request(at(0)))
    (clip,) = captures.clips
    assert len(captures.errors) == 1
    assert "capture.max_bytes" in captures.errors[0]
    assert 4_000_000 < clip.bytes <= 5_000_000
    assert play(clip.path).marks == list(range(clip.frames))


def test_old_captures_make_room_for_new_ones(tmp_path):
    with Captures(tmp_path, clips=False, max_bytes=60_000) as captures:
        for n in range(12):
            captures.recorder.trigger(
                request(at(10 * n), f"e{n}", actions=("still",), still=frame(n))
            )
            settle(captures)
    assert captures.errors == []
    left = [still for still in captures.stills if still.path.exists()]
    assert left == captures.stills[-len(left) :]
    assert 1 < len(left) < 12
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= 60_000
    assert captures.recorder.stats()["captures_deleted"] == 12 - len(left)


def test_a_source_that_comes_back_begins_a_new_stream(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(31))
        captures.recorder.trigger(request(at(30), "before"))
        offer(captures, range(31, 40))
        captures.recorder.end_stream()
        settle(captures)
        assert [clip.event_ids for clip in captures.clips] == [("before",)]
        captures.recorder.begin_stream(source_info())
        offer(captures, range(60, 90))
        captures.recorder.trigger(request(at(70), "after"))
    assert play(captures.clips[0].path).marks[-1] == 39
    assert play(captures.clips[1].path).marks == list(range(60, 90))


def test_a_trigger_after_the_loss_still_has_its_pre_roll(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(31))
        captures.recorder.end_stream()
        captures.recorder.trigger(request(at(30)))
    assert play(captures.clips[0].path).marks == list(range(31))


def test_another_picture_size_begins_another_clip(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(31))
        captures.recorder.trigger(request(at(30), "small"))
        offer(captures, range(31, 35))
        offer(captures, range(35, 45), width=640, height=480)
        captures.recorder.trigger(request(at(44), "large"))
    small, large = (play(clip.path) for clip in captures.clips)
    assert small.marks == list(range(35))
    assert large.marks == list(range(35, 45))
    assert large.lumas[0].shape == (480, 640)


def test_a_clip_without_any_video_is_a_sentence(tmp_path):
    with Captures(tmp_path) as captures:
        captures.recorder.trigger(request(at(0), "e9"))
    assert captures.errors == ["event e9 has no clip: no video has come yet"]
    assert all_files(tmp_path) == []


def test_stop_returns_within_its_time_limit(tmp_path):
    captures = Captures(tmp_path, clips=False)
    hanging = threading.Event()
    captures.on_capture = lambda _: hanging.wait()
    captures.recorder.start()
    captures.recorder.trigger(request(at(0), actions=("still",), still=frame(0)))
    started = time.monotonic()
    with pytest.raises(CaptureError, match=r"capture-write.*did not end"):
        captures.recorder.stop(0.3)
    assert time.monotonic() - started < 1
    hanging.set()
    captures.recorder.stop()


def test_stop_is_quick_and_may_be_called_twice_or_alone(tmp_path):
    with Captures(tmp_path) as captures:
        offer(captures, range(30))
        captures.recorder.trigger(request(at(29)))
        started = time.monotonic()
        captures.recorder.stop()
        assert time.monotonic() - started < 5
        assert len(captures.clips) == 1
        assert captures.recorder.offer(frame(30)) is False
    Captures(tmp_path).recorder.stop()


def test_an_exception_of_a_callback_is_raised_by_stop(tmp_path):
    captures = Captures(tmp_path, clips=False)

    def broken(_: object) -> None:
        raise ZeroDivisionError

    captures.on_capture = broken
    captures.recorder.start()
    captures.recorder.trigger(request(at(0), actions=("still",), still=frame(0)))
    with pytest.raises(ZeroDivisionError):
        captures.recorder.stop()


def test_a_failure_of_the_encoder_is_raised_and_the_open_clip_is_completed(tmp_path):
    captures = Captures(tmp_path)
    captures.recorder.start()
    offer(captures, range(20))
    captures.recorder.trigger(request(at(19)))
    settle(captures)
    broken = Frame(20, at(20), wall(at(20)), None, None)  # type: ignore[arg-type]
    assert captures.recorder.offer(broken)
    with pytest.raises(AttributeError):
        offer(captures, range(21, 1000))
    with pytest.raises(AttributeError):
        captures.recorder.stop()
    assert play(captures.clips[0].path).marks == list(range(20))


@pytest.mark.parametrize("clips", [True, False])
def test_camera_buffers_go_back_at_once(tmp_path, clips):
    class Lease:
        pass

    with Captures(tmp_path, clips=clips) as captures:
        lease = Lease()
        returned = weakref.ref(lease)
        captures.recorder.offer(replace(frame(0), lease=lease))
        del lease
        deadline_s = time.monotonic() + 10
        while returned() is not None and time.monotonic() < deadline_s:
            time.sleep(0.001)
        assert returned() is None


def test_a_folder_that_cannot_be_written_is_an_error_of_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="captures can't be written"):
        Captures(tmp_path / "file").recorder.start()


KILLED = """
import sys, time; sys.path[:0] = sys.argv[2:]
from pathlib import Path
from tests.support.captures import Captures, frame, request, START_NS
with Captures(Path(sys.argv[1])) as captures:
    for n in range(31): captures.recorder.offer(frame(n), wait=True)
    both = {'actions': ('still', 'clip'), 'still': frame(30)}
    captures.recorder.trigger(request(frame(30).timestamp_ns, **both))
    for n in range(31, 60): captures.recorder.offer(frame(n), wait=True)
    while not captures.stills: time.sleep(0.01)
    print('in the clip', flush=True)
    time.sleep(60)
"""


def test_a_kill_leaves_no_broken_file_and_the_next_start_removes_the_rest(tmp_path):
    here = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(here), str(here.parent)],
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in the clip\n"
        time.sleep(0.1)
        other.send_signal(signal.SIGKILL)
    suffixes = sorted(Path(name).suffix for name in all_files(tmp_path))
    assert suffixes == [".edge-part", ".jpg", ".json"]
    (json_path,) = tmp_path.rglob("*.json")
    assert [f["kind"] for f in sidecar(json_path)["files"]] == ["still"]

    with Captures(tmp_path) as captures:
        settle(captures)
        assert sorted(Path(name).suffix for name in all_files(tmp_path)) == [".jpg", ".json"]
        assert captures.recorder.stats()["bytes_kept"] > 0


@pytest.mark.parametrize("name", ["vtest.avi", "TUD-Campus.mp4"])
def test_real_footage(tmp_path, shared_data, name):
    triggers = {40: "a", 55: "b"}
    shown = []
    with Captures(tmp_path, pre_roll_s=1, post_roll_s=0.5, clip_height_px=360) as captures:
        for n, shot in enumerate(footage(shared_data / name, 70)):
            captures.recorder.offer(shot, wait=True)
            shown.append(shot)
            if n in triggers:
                captures.recorder.trigger(
                    request(
                        shot.timestamp_ns,
                        triggers[n],
                        actions=("still", "clip"),
                        still=shot.detached(),
                    )
                )
    assert captures.errors == []
    assert len(captures.stills) == 2
    jpeg = cv2.imread(str(captures.stills[0].path))
    assert jpeg.shape[:2] == shown[40].main.planes[0].shape
    assert abs(jpeg.mean() - shown[40].main.bgr().mean()) < 2
    for clip in captures.clips:
        played = play(clip.path)
        assert played.lumas[0].shape[0] == 360
        first = min(range(70), key=lambda n: abs(wall(shown[n].timestamp_ns) - clip.wall_ns))
        offsets = [(s.timestamp_ns - shown[first].timestamp_ns) / SECOND for s in shown[first:]]
        assert played.times_s == pytest.approx(offsets[: clip.frames], abs=1e-3)
        small = cv2.resize(shown[first + 5].main.planes[0], played.lumas[5].shape[::-1])
        assert cv2.absdiff(small, played.lumas[5]).mean() < 4
    kept = StorageGuard(CaptureSettings(directory=str(tmp_path), min_free_bytes=0))
    kept.scan()
    assert kept.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.skipif(sys.platform != "linux", reason="NOT LINUX: a thread has no own priority")
def test_both_threads_have_a_lower_priority(tmp_path: Path) -> None:
    niceness: dict[str, int] = {}

    def note_priority() -> None:
        niceness[threading.current_thread().name] = os.getpriority(os.PRIO_PROCESS, 0)

    with Captures(tmp_path) as captures:
        captures.recorder._encoding.submit(note_priority)
        captures.recorder._writing.submit(note_priority)
        settle(captures)
    normal = os.getpriority(os.PRIO_PROCESS, 0)
    assert all(nice == min(19, normal + NICE) for nice in niceness.values())
    assert len(niceness) == 2
