"""Which of two pictures of an object is the better one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.vision import best_look
from edge.vision.picture import Picture, PixelFormat

BOX = (100.0, 60.0, 180.0, 220.0)
TEXTURE = np.random.default_rng(7).integers(0, 255, (40, 20), np.uint8)


def scene(box: tuple[float, float, float, float] = BOX, blur_px: float = 0.0) -> Picture:
    """A textured object on an even ground, out of focus or moved by a blur of this sigma."""
    luma = np.full((240, 320), 90, np.uint8)
    x0, y0, x1, y1 = map(int, box)
    drawn = cv2.resize(TEXTURE, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    luma[max(0, y0) : y1, max(0, x0) : x1] = drawn[max(0, -y0) :, max(0, -x0) :][:240, :320]
    if blur_px:
        luma = np.asarray(cv2.GaussianBlur(luma, (0, 0), blur_px), np.uint8)
    chroma = np.full((120, 160), 128, np.uint8)
    return Picture(PixelFormat.I420, (luma, chroma, chroma))


def quality(picture: Picture, box: tuple[float, float, float, float], score: float = 0.8) -> float:
    return best_look.quality(picture, box, score)


def test_a_sharp_picture_is_better_than_a_blurred_one() -> None:
    values = [quality(scene(blur_px=blur), BOX) for blur in (0.0, 1.0, 3.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.3 * values[2]


def test_a_larger_object_is_better() -> None:
    small, large = (100, 60, 140, 140), (100, 20, 200, 220)
    assert quality(scene(large), large) > quality(scene(small), small)


def test_an_object_that_the_edge_cuts_is_worse() -> None:
    cut = (-20.0, 60.0, 60.0, 220.0)
    assert quality(scene(cut), cut) < 0.7 * quality(scene(), BOX)


def test_a_doubtful_look_is_worse_as_the_object_may_be_hidden() -> None:
    assert quality(scene(), BOX, 0.5) < 0.5 * quality(scene(), BOX, 0.9)


def test_the_contrast_does_not_count() -> None:
    luma, *chroma = scene().planes
    dim = Picture(PixelFormat.I420, (np.asarray(luma // 2, np.uint8), *chroma))
    assert quality(dim, BOX) == pytest.approx(quality(scene(), BOX), rel=0.05)


@pytest.mark.parametrize("form", [PixelFormat.RGB, PixelFormat.BGR])
def test_every_format_is_compared_by_its_luma(form: PixelFormat) -> None:
    luma = scene().planes[0]
    colour = Picture(form, (np.dstack([luma] * 3),))
    assert quality(colour, BOX) == pytest.approx(quality(scene(), BOX), rel=0.01)


@pytest.mark.parametrize("box", [(10, 10, 12, 12), (400, 10, 500, 90), (50, 50, 50, 50)])
def test_a_box_without_pixels_is_the_worst(box: tuple[float, float, float, float]) -> None:
    assert quality(scene(), box) == 0.0
