"""Packets go into clips only if browsers play them; all other clips are encoded from frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags

from tests.support.captures import Captures, request
from tests.support.films import encode, read

HEIGHT = 128


def images(height: int = HEIGHT) -> list[np.ndarray]:
    return [np.full((height, 192, 3), 60 + 8 * n, np.uint8) for n in range(15)]


def interlaced(stream: av.VideoStream) -> None:
    stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me


def clip_of(path: Path, folder: Path, limit_px: int) -> tuple[bool, av.VideoFrame, str]:
    """Whether packets are passed through, and an image and the profile of the clip."""
    info, frames = read(path, clip_height_px=limit_px)
    with Captures(folder, clip_height_px=limit_px, pre_roll_s=1) as captures:
        captures.recorder.begin_stream(info)
        for frame in frames:
            captures.recorder.offer(frame, wait=True)
        captures.recorder.trigger(request(frames[8].timestamp_ns))
    assert captures.errors == []
    with av.open(str(captures.clips[0].path)) as container:
        decoded = list(container.decode(video=0))
        profile = str(container.streams.video[0].profile)
    assert len(decoded) >= 10
    assert decoded[-1].to_ndarray(format="gray").mean() == pytest.approx(60 + 8 * 14, abs=4)
    return info.encoded is not None, decoded[0], profile


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize(
    ("pix_fmt", "passes"),
    [("yuv420p", True), ("yuv422p", False), ("yuv444p", False), ("yuv420p10le", False),
     ("yuv422p10le", False)],
)  # fmt: skip
def test_only_8_bit_420_is_passed_through(
    tmp_path: Path, form: str, pix_fmt: str, passes: bool
) -> None:
    path = encode(tmp_path / "film", images(), pix_fmt=pix_fmt, form=form)
    passed, image, profile = clip_of(path, tmp_path / "captures", 720)
    assert passed == passes
    assert image.format.name == "yuv420p"
    assert profile in ("Constrained Baseline", "Baseline", "Main", "High")


@pytest.mark.parametrize(("limit_px", "passes"), [(HEIGHT, True), (HEIGHT - 2, False), (64, False)])
def test_a_picture_above_the_height_of_clips_is_encoded_smaller(
    tmp_path: Path, limit_px: int, passes: bool
) -> None:
    path = encode(tmp_path / "film.mp4", images())
    passed, image, _ = clip_of(path, tmp_path / "captures", limit_px)
    assert passed == passes
    assert image.height == min(HEIGHT, limit_px)


def test_the_height_is_that_of_the_picture_as_it_is_shown(tmp_path: Path) -> None:
    def turned(stream: av.VideoStream) -> None:
        stream.set_display_rotation(90)
        stream.codec_context.sample_aspect_ratio = Fraction(1)

    path = encode(tmp_path / "film.mp4", images(), prepare=turned)  # shown 192 high
    passed, image, _ = clip_of(path, tmp_path / "captures", 160)
    assert not passed
    assert image.height == 160


def test_interlaced_video_is_encoded(tmp_path: Path) -> None:
    path = encode(tmp_path / "film.ts", images(), form="mpegts", prepare=interlaced)
    passed, image, _ = clip_of(path, tmp_path / "captures", 720)
    assert not passed
    assert not image.interlaced_frame
