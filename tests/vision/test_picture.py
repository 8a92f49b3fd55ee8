"""Crops of a picture in each of the camera's formats."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.vision.picture import Picture, PixelFormat

WIDTH, HEIGHT = 64, 48
YUV = (PixelFormat.I420, PixelFormat.NV12)


def smooth() -> np.ndarray:
    """(h, w, 3) RGB in which each pixel has its own colour."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([60 + x * 2, 60 + y * 2, 200 - x - y], axis=-1).astype(np.uint8)


def padded(plane: np.ndarray) -> np.ndarray:
    """The same plane with padded rows, as cameras deliver it."""
    wide = np.full((plane.shape[0], plane.shape[1] + 32, *plane.shape[2:]), 7, np.uint8)
    view = wide[:, : plane.shape[1]]
    view[:] = plane
    return view


def picture(pixel_format: PixelFormat) -> Picture:
    rgb = smooth()
    if pixel_format is PixelFormat.RGB:
        return Picture(pixel_format, (padded(rgb),))
    if pixel_format is PixelFormat.BGR:
        return Picture(pixel_format, (padded(rgb[..., ::-1]),))
    packed = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    u, v = packed[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    if pixel_format is PixelFormat.NV12:
        return Picture(pixel_format, (padded(packed[:HEIGHT]), padded(np.stack([u, v], axis=-1))))
    return Picture(pixel_format, tuple(padded(plane) for plane in (packed[:HEIGHT], u, v)))


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_each_format_returns_the_colours_of_the_picture(pixel_format: PixelFormat) -> None:
    tolerance = 6 if pixel_format in YUV else 0  # chroma has half the resolution
    shown = picture(pixel_format)
    assert (shown.width, shown.height) == (WIDTH, HEIGHT)
    assert np.abs(shown.rgb().astype(int) - smooth()).max() <= tolerance
    assert np.abs(shown.bgr()[..., ::-1].astype(int) - smooth()).max() <= tolerance
    if pixel_format in YUV:
        assert np.shares_memory(shown.luma(), shown.planes[0])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PixelFormat), st.data())
def test_a_crop_equals_that_part_of_the_whole_picture(
    pixel_format: PixelFormat, data: st.DataObject
) -> None:
    x0 = data.draw(st.integers(0, WIDTH - 1))
    y0 = data.draw(st.integers(0, HEIGHT - 1))
    x1 = data.draw(st.integers(x0 + 1, WIDTH))
    y1 = data.draw(st.integers(y0 + 1, HEIGHT))
    shown = picture(pixel_format)
    assert np.array_equal(shown.rgb((x0, y0, x1, y1)), shown.rgb()[y0:y1, x0:x1])


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 65, 5), (5, 5, 5, 9), (0, 9, 5, 5)])
def test_a_crop_outside_the_picture_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="outside the picture 64x48"):
        picture(PixelFormat.NV12).rgb(box)


def test_a_copy_does_not_change_with_the_cameras_buffer() -> None:
    shown = picture(PixelFormat.I420)
    copied, before = shown.copy(), shown.rgb().copy()
    for plane in shown.planes:
        plane[:] = 0
    assert np.array_equal(copied.rgb(), before)
