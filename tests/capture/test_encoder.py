from __future__ import annotations

import av
import numpy as np
import pytest

from edge.capture.video.encoder import FrameEncoder, clip_size
from edge.runtime.times import NS_PER_MS, NS_PER_S
from edge.vision.picture import Picture, PixelFormat
from edge.vision.types import Frame
from tests.support.captures import START_NS, frame, marked_luma, packets, picture, read_mark


def decoded(stream: list) -> list[np.ndarray]:
    """The luma of each packet, by a decoder that sees only the packets."""
    context = av.CodecContext.create("h264", "r")
    context.thread_count = 1
    frames = [f for p in stream for f in context.decode(av.Packet(p.data))]
    return [f.to_ndarray()[: f.height] for f in [*frames, *context.decode(None)]]


@pytest.mark.parametrize(
    ("size", "highest", "expected"),
    [
        ((1280, 720), 720, (1280, 720)),
        ((1920, 1080), 720, (1280, 720)),
        ((4056, 3040), 720, (960, 720)),
        ((641, 481), 720, (640, 480)),
        ((768, 576), 241, (320, 240)),
        ((64, 4000), 64, (2, 64)),
    ],
)
def test_size_of_the_encoded_picture(
    size: tuple[int, int], highest: int, expected: tuple[int, int]
) -> None:
    assert clip_size(*size, highest) == expected


@pytest.mark.parametrize("form", ["I420", "NV12", "RGB", "BGR"])
@pytest.mark.parametrize("size", [(320, 240), (640, 480), (480, 360), (1440, 1080)])
def test_every_frame_is_decoded_as_it_was(form, size):
    width, height = size
    encoder = FrameEncoder(width, height, 10, 240, PixelFormat[form])
    assert (encoder.stream.width, encoder.stream.height) == (320, 240)
    sent = [frame(n, width=width, height=height, form=form) for n in range(12)]
    back = decoded([p for f in sent for p in encoder.encode(f)])
    assert [read_mark(luma) for luma in back] == list(range(12))
    if (width, form) == (320, "I420"):
        error = np.abs(back[7].astype(int) - marked_luma(7))
        assert error.mean() < 2


def test_padded_rows_are_not_encoded():
    luma = np.zeros((240, 384), np.uint8)
    luma[:, :320] = marked_luma(5)
    chroma = np.full((120, 192), 128, np.uint8)[:, :160]
    main = Picture(PixelFormat.I420, (luma[:, :320], chroma, chroma))
    encoder = FrameEncoder(320, 240, 10, 720)
    back = decoded(encoder.encode(Frame(0, 0, 0, luma, main)))
    assert read_mark(back[0]) == 5


def test_colours_of_rgb_are_kept():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    encoder = FrameEncoder(64, 64, 10, 720, PixelFormat.RGB)
    out = encoder.encode(Frame(0, 0, 0, red[..., 0], Picture(PixelFormat.RGB, (red,))))
    context = av.CodecContext.create("h264", "r")
    (image,) = context.decode(av.Packet(out[0].data)) or context.decode(None)
    assert image.colorspace in (5, 6)  # BT.601, stated in the stream
    assert image.color_range == 1
    r, g, b = image.to_ndarray(format="rgb24")[32, 32]
    assert r > 240
    assert max(g, b) < 15


def test_each_packet_has_the_time_of_its_frame_and_comes_at_once():
    encoder = FrameEncoder(320, 240, 10, 720)
    times = [START_NS + ms * NS_PER_MS for ms in (0, 100, 103, 517, 517, 2900, 2901)]
    for n, at in enumerate(times):
        (packet,) = encoder.encode(frame(n, at))
        assert packet.timestamp_ns == at
    assert encoder.flush() == []


@pytest.mark.parametrize("fps", [2.0, 10.0, 30.0])
def test_a_key_frame_about_every_second_whatever_the_rate(fps):
    keys = [p.timestamp_ns for p in packets(int(4 * fps), fps) if p.keyframe]
    steps = np.diff(keys) / NS_PER_S
    assert len(keys) == 4
    assert np.all((steps >= 1.0) & (steps < 1.0 + 1.5 / fps))


def test_key_frames_are_a_second_apart_by_time_not_by_frames():
    encoder = FrameEncoder(320, 240, 10, 720)
    times_ms = [0, 700, 1400, 1500, 2350, 2450, 9000, 9999, 10_000]
    sent = [encoder.encode(frame(n, START_NS + ms * NS_PER_MS)) for n, ms in enumerate(times_ms)]
    keys = [ms for ms, (packet,) in zip(times_ms, sent, strict=True) if packet.keyframe]
    assert keys == [0, 1400, 2450, 9000, 10_000]


def test_a_decoder_can_begin_at_any_key_frame():
    stream = packets(30)
    second = [n for n, p in enumerate(stream) if p.keyframe][1]
    assert [read_mark(luma) for luma in decoded(stream[second:])] == list(range(second, 30))


def test_it_takes_pictures_of_its_size_and_format_only():
    encoder = FrameEncoder(320, 240, 10, 720)
    assert encoder.takes(picture(0))
    assert not encoder.takes(picture(0, width=640))
    assert not encoder.takes(picture(0, form="NV12"))
