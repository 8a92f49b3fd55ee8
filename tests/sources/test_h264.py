"""A source's own H.264: Annex B with parameter sets before each key frame, whatever the file."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags

from edge.capture.video.clip import ClipWriter
from edge.config.schema import SourceSettings
from edge.runtime.times import NS_PER_S
from edge.sources import open_source
from edge.sources.h264 import has_parameter_sets
from edge.vision.types import EncodedPacket, EncodedStream, Frame, SourceInfo
from tests.support.captures import Captures, marked_luma, packets, play, read_mark, request

COUNT, INTERVAL = 30, 10
SLICES, SPS, PPS = (1, 5), 7, 8
FORMS = ("mp4", "matroska", "flv", "mpegts", "avi")


def film(path: Path, form: str) -> Path:
    """30 marked frames with a key frame every 10.

    mp4, matroska and flv have lengths and an avcC record; mpegts has Annex B with parameter sets
    in band; avi has Annex B with parameter sets in its header only, as RTSP has them in its
    description.
    """
    with av.open(str(path), "w", format=form) as container:
        options = {"bf": "0", "g": str(INTERVAL), "x264-params": "scenecut=0"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        if form == "avi":
            stream.codec_context.flags |= Flags.global_header
        for index in range(COUNT):
            image = np.full((360, 320), 128, np.uint8)
            image[:240] = marked_luma(index)
            frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[SourceInfo, list[Frame]]:
    source = open_source(SourceSettings(uri=str(path), fast=True))
    info, frames = source.open(), []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return info, frames


def packets_of(frames: list[Frame]) -> list[EncodedPacket]:
    return [packet for frame in frames for packet in frame.packets]


def units(packet: EncodedPacket) -> list[int]:
    """The types of the units in Annex B."""
    assert packet.data.startswith((b"\0\0\1", b"\0\0\0\1"))
    return [part[0] & 31 for part in re.split(b"\0\0\0?\1", packet.data)[1:]]


@pytest.mark.parametrize("form", FORMS)
def test_parameter_sets_come_once_before_each_key_frame(tmp_path: Path, form: str) -> None:
    info, frames = read(film(tmp_path / "film", form))
    assert info.encoded == EncodedStream(320, 240)
    stream = packets_of(frames)
    assert len(frames) == len(stream) == COUNT
    for index, packet in enumerate(stream):
        types = units(packet)
        assert packet.keyframe == (index % INTERVAL == 0)
        assert types.count(SPS) == types.count(PPS) == packet.keyframe
        first_slice = next(n for n, kind in enumerate(types) if kind in SLICES)
        assert all(kind in SLICES for kind in types[first_slice:])
        assert not {SPS, PPS} & set(types[first_slice:])


@pytest.mark.parametrize("form", FORMS)
def test_the_packets_have_the_times_of_their_frames(tmp_path: Path, form: str) -> None:
    frames = read(film(tmp_path / "film", form))[1]
    stream = packets_of(frames)
    assert [p.timestamp_ns for p in stream] == pytest.approx(
        [f.timestamp_ns for f in frames], abs=NS_PER_S // 1000
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_decoder_can_begin_at_each_key_frame(tmp_path: Path, form: str) -> None:
    stream = packets_of(read(film(tmp_path / "film", form))[1])
    for first in range(0, COUNT, INTERVAL):
        context = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        images = [i for p in stream[first:] for i in context.decode(av.Packet(p.data))]
        images += context.decode(None)
        assert [read_mark(i.to_ndarray()[:240]) for i in images] == list(range(first, COUNT))


@pytest.mark.parametrize("form", FORMS)
def test_a_clip_of_each_plays(tmp_path: Path, form: str) -> None:
    info, frames = read(film(tmp_path / "film", form))
    with Captures(tmp_path / "captures", pre_roll_s=0.5, post_roll_s=0.5) as captures:
        captures.recorder.begin_stream(info)
        for frame in frames:
            captures.recorder.offer(frame, wait=True)
            if frame.index == 17:
                captures.recorder.trigger(request(frame.timestamp_ns))
    (clip,) = captures.clips
    assert captures.errors == []
    assert play(clip.path).marks == list(range(10, 23))
    with av.open(str(clip.path)) as container:
        record = container.streams.video[0].codec_context.extradata
    assert record is not None
    assert record[5] & 31 == 1  # one sequence parameter set in the clip's own record


def with_sets_in_band(path: Path) -> Path:
    """An MP4 with parameter sets in its packets as well as in its record."""
    writer = ClipWriter(path, EncodedStream(320, 240))
    for packet in packets(COUNT):
        writer.feed(packet)
    writer.finish()
    return path


def damage(path: Path, change: int, value: int) -> Path:
    data = bytearray(path.read_bytes())
    data[data.index(b"avcC") + 4 + change] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("place", "value"), [(5, 0xFF), (6, 0x7F), (7, 0xFF), (35, 0x7F)])
def test_a_damaged_record_is_reported_once_and_no_packet_is_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: int, value: int
) -> None:
    """FFmpeg's decoder refuses such a record as its filter does, so that no frame comes either."""
    path = damage(with_sets_in_band(tmp_path / "film.mp4"), place, value)
    info, frames = read(path)
    assert info.encoded is None
    assert packets_of(frames) == []
    sentence = "its H.264 configuration record (avcC) is damaged: its packets can't be recorded"
    assert [sentence in message for message in caplog.messages].count(True) == 1


@pytest.mark.parametrize("place", range(46))
def test_no_damage_to_the_record_raises_or_makes_a_false_key_frame(
    tmp_path: Path, place: int
) -> None:
    frames = read(damage(with_sets_in_band(tmp_path / "film.mp4"), place, 0x7F))[1]
    assert all(has_parameter_sets(p.data) for p in packets_of(frames) if p.keyframe)


def test_damaged_data_is_left_out_of_the_packets_too(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", "mp4")
    whole = packets_of(read(path)[1])
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        position = [p.pos for p in container.demux(video=0) if p.size][15]
    assert position is not None
    data[position : position + 4] = b"\x7f\xff\xff\xff"  # a unit longer than the packet
    path.write_bytes(data)
    kept = packets_of(read(path)[1])
    assert len(kept) == COUNT - 1
    assert [packet.data for packet in kept] == [p.data for n, p in enumerate(whole) if n != 15]


def test_another_codec_gives_no_packets(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "film.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        gray = np.full((240, 320, 3), 128, np.uint8)
        image = av.VideoFrame.from_ndarray(gray, format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    info, frames = read(tmp_path / "film.avi")
    assert info.encoded is None
    assert packets_of(frames) == []
