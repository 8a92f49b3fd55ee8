"""Rotation, mirroring and pixel shape: frames are upright with square pixels, and so are clips."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from edge.sources.display import shown
from edge.vision.picture import Picture
from edge.vision.types import Display, EncodedStream, Frame, SourceInfo
from tests.support.captures import Captures, picture, request
from tests.support.films import encode, read

EIGHT = [(degrees, mirrored) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]


def scene(width: int = 160, height: int = 96) -> np.ndarray:
    """(h, w, 3): each corner has another brightness, so that every orientation looks different."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = 20
    image[: height // 2, width // 2 :] = 220
    image[height // 2 :, : width // 2] = 90
    return image


def film(
    path: Path, prepare: Callable[[av.VideoStream], object], image: np.ndarray, **options: str
) -> Path:
    return encode(path, [image] * 12, prepare=prepare, **options)


def clip_of(folder: Path, info: SourceInfo, frames: list[Frame]) -> Path:
    with Captures(folder, pre_roll_s=1, post_roll_s=1) as captures:
        captures.recorder.begin_stream(info)
        for frame in frames:
            captures.recorder.offer(frame, wait=True)
        captures.recorder.trigger(request(frames[6].timestamp_ns))
    assert captures.errors == []
    (entry,) = json.loads(captures.clips[0].path.with_suffix(".json").read_text())["files"]
    assert (entry["width"], entry["height"]) == pytest.approx(info.main_size, abs=1)
    return captures.clips[0].path


@pytest.mark.parametrize(("degrees", "mirrored"), EIGHT)
def test_a_turned_video_is_upright_in_frames_and_in_clips(
    tmp_path: Path, degrees: int, mirrored: bool
) -> None:
    """PyAV documents: counter-clockwise degrees, mirrored after that."""
    stored = scene()
    upright = np.rot90(stored, degrees // 90)
    upright = upright[:, ::-1] if mirrored else upright
    info, frames = read(
        film(tmp_path / "v.mp4", lambda s: s.set_display_rotation(degrees, hflip=mirrored), stored)
    )
    assert info.main_size == upright.shape[1::-1]
    assert info.encoded is not None  # passed through
    clip = clip_of(tmp_path / "captures", info, frames)
    for played in (frames, read(clip)[1]):
        assert len(played) >= 10
        assert np.abs(played[5].main.rgb().astype(int) - upright).mean() < 3
        assert played[5].luma.shape[1] == min(320, upright.shape[1])
    with av.open(str(clip)) as container:
        stored_again = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(stored_again.astype(int) - stored).mean() < 3


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(2), (320, 96)), (Fraction(1, 2), (160, 192)), (Fraction(16, 15), (170, 96)),
     (Fraction(1000), (160, 96)), (Fraction(1), (160, 96))],
)  # fmt: skip
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pixels_are_square_in_frames_and_in_clips(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int], codec: str
) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    info, frames = read(film(tmp_path / "v.mp4", prepare, scene(), codec=codec))
    assert info.main_size == size
    assert (frames[0].main.width, frames[0].main.height) == size
    assert (info.encoded is not None) == (codec == "libx264")
    clip = clip_of(tmp_path / "captures", info, frames)
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        shape = (video.width * (video.sample_aspect_ratio or 1)) / video.height
    if aspect < 100:
        assert shape == pytest.approx(size[0] / size[1], rel=0.02)
    assert read(clip)[0].main_size == size


def test_a_turned_video_of_long_pixels(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_rotation(90)

    info, frames = read(film(tmp_path / "v.mp4", prepare, scene()))
    assert info.main_size == (96, 320)
    assert read(clip_of(tmp_path / "captures", info, frames))[0].main_size == (96, 320)


def test_a_turned_mjpeg_video_is_upright(tmp_path: Path) -> None:
    """Its frames are not H.264, so that the clip is encoded from upright pictures."""
    path = tmp_path / "v.mov"
    encode(path, [scene()] * 12, "mjpeg", "yuvj420p", None, lambda s: s.set_display_rotation(90))
    info, frames = read(path)
    assert info.main_size == (96, 160)
    with av.open(str(clip_of(tmp_path / "captures", info, frames))) as container:
        image = next(container.decode(video=0))
    assert (image.width, image.height, image.rotation) == (96, 160, 0)


def test_a_picture_without_metadata_is_not_copied() -> None:
    plain = picture(1)
    assert shown(plain, Display()) is plain
    assert shown(plain, Display(sample_aspect=Fraction(1001, 1000))) is plain


@pytest.mark.parametrize("form", ["I420", "NV12", "BGR"])
@pytest.mark.parametrize("turns", range(4))
def test_every_pixel_format_is_turned(form: str, turns: int) -> None:
    plain: Picture = picture(77, form=form)
    turned = shown(plain, Display(turns, mirrored=True))
    expected = np.rot90(plain.rgb()[:, ::-1], -turns)
    assert np.array_equal(turned.rgb(), expected)


@given(st.integers(0, 3), st.booleans(), st.integers(1, 1 << 20))
def test_the_nearest_of_the_eight_orientations_is_found(turns, mirrored, scale):
    display = Display(turns, mirrored)
    a, b, c, d = (scale * entry for entry in display.linear)
    assert Display.nearest((a, b, c, d), Fraction(1)) == display


def test_a_damaged_matrix_turns_nothing() -> None:
    assert Display.nearest((0, 0, 0, 0), Fraction(1)) == Display()


def test_the_size_in_a_player() -> None:
    assert EncodedStream(320, 240, Display(1, sample_aspect=Fraction(1, 2))).shown_size == (
        480,
        320,
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_stream_of_jpegs_is_upright_by_its_exif(tmp_path: Path, orientation: int) -> None:
    """Action cameras and their MJPEG streams say so in each picture, also that it is mirrored."""
    exif, jpeg = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(scene()).save(jpeg, "JPEG", exif=exif, quality=95)
    stream = tmp_path / "v.mjpeg"
    stream.write_bytes(jpeg.getvalue() * 3)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(jpeg)))
    info, frames = read(stream)
    assert len(frames) == 3
    assert info.main_size == (upright.shape[1], upright.shape[0])
    for frame in frames:
        np.testing.assert_allclose(frame.main.rgb(), upright, atol=20)
