from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import av
import pytest

from edge.capture.annexb import AnnexB, has_parameter_sets
from edge.capture.clip import ClipWriter
from edge.capture.encoder import FrameEncoder
from edge.errors import CaptureError
from edge.runtime.times import NS_PER_MS
from edge.vision.types import EncodedPacket, EncodedStream
from tests.support.captures import SECOND, START_NS, WALL_NS, files_at_most, frame, packets, play

STREAM = EncodedStream(320, 240, b"")
OFFSET_NS = WALL_NS - START_NS


def write(path: Path, stream: list[EncodedPacket], described: EncodedStream = STREAM):
    writer = ClipWriter(path, described, OFFSET_NS)
    for packet in stream:
        writer.feed(packet)
    return writer.finish()


def avcc(stream: list[EncodedPacket]) -> tuple[list[EncodedPacket], EncodedStream]:
    """The same packets length-prefixed, with the parameter sets in an avcC record alone."""

    def units(data: bytes) -> list[bytes]:
        parts = data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
        return [part for part in parts if part]

    sets = [unit for unit in units(stream[0].data) if unit[0] & 31 in (7, 8)]
    sps, pps = sets
    record = b"\1" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2, "big") + sps
    record += b"\1" + len(pps).to_bytes(2, "big") + pps
    prefixed = [
        EncodedPacket(
            b"".join(
                len(u).to_bytes(4, "big") + u for u in units(p.data) if u[0] & 31 not in (7, 8)
            ),
            p.timestamp_ns,
            p.keyframe,
        )
        for p in stream
    ]
    return prefixed, EncodedStream(320, 240, record)


def test_all_frames_play_in_order(tmp_path):
    info = write(tmp_path / "clip.mp4", packets(25))
    assert play(info.path).marks == list(range(25))
    assert info.frames == 25
    assert info.duration_s == pytest.approx(2.5)
    assert info.bytes == info.path.stat().st_size
    assert info.wall_ns == WALL_NS


def test_irregular_times_come_out_true(tmp_path):
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


def test_the_index_is_in_front_and_says_when(tmp_path):
    path = write(tmp_path / "clip.mp4", packets(12)).path
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        created = datetime.fromisoformat(container.metadata["creation_time"])
    assert created.timestamp() == pytest.approx(WALL_NS / 1e9, abs=1)


@pytest.mark.parametrize("form", ["avcC", "Annex B beside the packets"])
def test_parameter_sets_beside_the_packets(tmp_path, form):
    stream, described = avcc(packets(15))
    if form != "avcC":
        annexb = AnnexB(described)
        stream = [EncodedPacket(annexb.packet(p.data), p.timestamp_ns, p.keyframe) for p in stream]
        described = EncodedStream(320, 240, annexb.parameter_sets)
        assert not has_parameter_sets(stream[0].data)
    info = write(tmp_path / "clip.mp4", stream, described)
    assert play(info.path).marks == list(range(15))


def test_parameter_sets_are_not_said_twice():
    key = packets(1)[0].data
    assert AnnexB(EncodedStream(320, 240, b"\0\0\0\1\x67sps")).first_packet(key) == key


def test_a_cut_off_record_is_a_sentence(tmp_path):
    _, described = avcc(packets(1))
    for length in range(1, 8):
        broken = EncodedStream(320, 240, described.extradata[:length])
        with pytest.raises(CaptureError, match="avcC"):
            ClipWriter(tmp_path / "clip.mp4", broken)
    assert list(tmp_path.iterdir()) == []


def test_nothing_bears_the_name_before_it_is_complete(tmp_path):
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
    (tmp_path / "clip.mp4").write_bytes(b"somebody's")
    with pytest.raises(CaptureError, match="in the way"):
        writer.finish()
    writer.abort()
    assert (tmp_path / "clip.mp4").read_bytes() == b"somebody's"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("room", [20, 20_000, 200_000])
def test_a_disk_that_takes_no_more_is_a_sentence(tmp_path, room):
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


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(CaptureError, match="could not be written"):
        ClipWriter(tmp_path / "gone" / "clip.mp4", STREAM)
