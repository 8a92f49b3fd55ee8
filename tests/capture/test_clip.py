from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import av
import pytest

from edge.capture.video.clip import ClipWriter
from edge.capture.video.encoder import FrameEncoder
from edge.errors import CaptureError
from edge.runtime.times import NS_PER_MS
from edge.vision.types import EncodedPacket, EncodedStream
from tests.support.captures import SECOND, START_NS, WALL_NS, files_at_most, frame, packets, play

STREAM = EncodedStream(320, 240)
OFFSET_NS = WALL_NS - START_NS


def write(path: Path, stream: list[EncodedPacket], described: EncodedStream = STREAM):
    writer = ClipWriter(path, described, OFFSET_NS)
    for packet in stream:
        writer.feed(packet)
    return writer.finish()


def test_all_frames_play_in_order(tmp_path):
    info = write(tmp_path / "clip.mp4", packets(25))
    assert play(info.path).marks == list(range(25))
    assert info.frames == 25
    assert info.duration_s == pytest.approx(2.5)
    assert info.bytes == info.path.stat().st_size
    assert info.wall_ns == WALL_NS


def test_irregular_times_are_kept(tmp_path):
    encoder = FrameEncoder(320, 240, 25, 720)
    times = [0, 40, 80, 333, 334, 1200, 1201.5, 5000]
    stream = [
        p
        for n, ms in enumerate(times)
        for p in encoder.encode(frame(n, START_NS + int(ms * NS_PER_MS)))
    ]
    played = play(write(tmp_path / "clip.mp4", stream).path)
    assert played.times_s == pytest.approx([ms / 1000 for ms in times], abs=1 / 90_000)
    assert played.marks == list(range(len(times)))


def test_frames_of_one_instant_do_not_spoil_the_clip(tmp_path):
    first = packets(3)
    stream = [EncodedPacket(p.data, START_NS, p.keyframe) for p in first]
    played = play(write(tmp_path / "clip.mp4", stream).path)
    assert played.marks == [0, 1, 2]
    assert len(set(played.times_s)) == 3


def test_it_begins_with_the_first_key_frame(tmp_path):
    stream = packets(25)[4:]
    info = write(tmp_path / "clip.mp4", stream)
    assert play(info.path).marks == list(range(10, 25))
    assert info.wall_ns == WALL_NS + SECOND


def test_the_index_is_in_front_and_holds_the_time_of_creation(tmp_path):
    path = write(tmp_path / "clip.mp4", packets(12)).path
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        created = datetime.fromisoformat(container.metadata["creation_time"])
    assert created.timestamp() == pytest.approx(WALL_NS / 1e9, abs=1)


def test_no_file_has_the_final_name_before_it_is_complete(tmp_path):
    writer = ClipWriter(tmp_path / "clip.mp4", STREAM)
    for packet in packets(12):
        writer.feed(packet)
        assert [p.name for p in tmp_path.iterdir()] == [".clip.mp4.edge-part"]
    writer.finish()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_abort_leaves_nothing(tmp_path):
    for count in (0, 12):
        writer = ClipWriter(tmp_path / "clip.mp4", STREAM)
        for packet in packets(count):
            writer.feed(packet)
        writer.abort()
        assert list(tmp_path.iterdir()) == []


def test_a_clip_without_video_is_an_error(tmp_path):
    writer = ClipWriter(tmp_path / "clip.mp4", STREAM)
    writer.feed(packets(2)[1])
    with pytest.raises(CaptureError, match="no video"):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(tmp_path):
    writer = ClipWriter(tmp_path / "clip.mp4", STREAM)
    writer.feed(packets(1)[0])
    (tmp_path / "clip.mp4").write_bytes(b"another")
    with pytest.raises(CaptureError, match="a file of that name exists already"):
        writer.finish()
    writer.abort()
    assert (tmp_path / "clip.mp4").read_bytes() == b"another"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("room", [20, 20_000, 200_000])
def test_a_full_disk_is_one_sentence(tmp_path, room):
    noise = os.urandom(30_000)
    stream = [EncodedPacket(p.data + noise, p.timestamp_ns, p.keyframe) for p in packets(20)]
    writer = ClipWriter(tmp_path / "clip.mp4", STREAM)

    def write_all() -> None:
        for packet in stream:
            writer.feed(packet)
        writer.finish()

    with files_at_most(room), pytest.raises(CaptureError, match=r"clip\.mp4 could not be written"):
        write_all()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(CaptureError, match="could not be written"):
        ClipWriter(tmp_path / "gone" / "clip.mp4", STREAM)
