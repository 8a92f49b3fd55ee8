"""Boxes are followed from frame to frame by their pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.vision.flow import Flow

SHAPE, MAIN = (120, 160), (640, 480)  # luma (height, width), main (width, height): 4 times as large
NOISE = np.random.default_rng(1).integers(0, 255, (60, 60), np.uint8)
TEXTURE = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]


def plane(x: float, y: float, ground: int = 90) -> np.ndarray:
    """A patch of 20x40 px with its corner at (x, y), to a fraction of a pixel."""
    picture = np.full(SHAPE, ground, np.uint8)
    place = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(
        TEXTURE[:40, :20], place, SHAPE[::-1], picture, borderMode=cv2.BORDER_TRANSPARENT
    )


def moving(luma: np.ndarray) -> np.ndarray:
    return np.where(cv2.absdiff(luma, plane(500, 0)) > 5, 255, 0).astype(np.uint8)


def boxes(*corners: tuple[float, float]) -> np.ndarray:
    return np.array([(4 * x, 4 * y, 4 * x + 80, 4 * y + 160) for x, y in corners], np.float32)


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_shift_is_found_to_a_fraction_of_a_pixel(dx: float, dy: float) -> None:
    flow = Flow(SHAPE, MAIN)
    before, after = plane(60, 40), plane(60 + dx, 40 + dy)
    flow.keep(before, moving(before))
    shift = flow(after, boxes((60, 40)))[0]
    assert shift == pytest.approx([4 * dx, 4 * dy], abs=1.5)  # main pixels


def test_each_box_has_its_own_shift_in_the_order_given() -> None:
    flow = Flow(SHAPE, MAIN)
    left, right = plane(20, 30), plane(110, 50)
    both = np.maximum(left, right)
    flow.keep(both, moving(both))
    after = np.maximum(plane(23, 30), plane(110, 46))
    shifts = flow(after, boxes((110, 50), (20, 30)))
    assert shifts == pytest.approx(np.array([[0, -16], [12, 0]]), abs=1.5)


def test_a_box_outside_the_picture_has_no_shift() -> None:
    flow = Flow(SHAPE, MAIN)
    luma = plane(60, 40)
    flow.keep(luma, moving(luma))
    shifts = flow(luma, boxes((-200, 10), (60, 40), (400, 40)))
    assert np.isnan(shifts[[0, 2]]).all()
    assert shifts[1] == pytest.approx([0, 0], abs=0.1)


def test_background_inside_a_box_does_not_reduce_its_shift() -> None:
    """Half of the box is background; only the moving part is followed."""
    ground = cv2.resize(TEXTURE, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    planes = []
    for x in (60, 64):
        luma = ground.copy()
        luma[40:80, x : x + 20] = TEXTURE[:40, :20]
        planes.append(luma)
    flow = Flow(SHAPE, MAIN)
    wide = np.array([[4 * 40, 4 * 40, 4 * 90, 4 * 80]], np.float32)
    mask = np.where(cv2.absdiff(planes[0], ground) > 5, 255, 0).astype(np.uint8)
    flow.keep(planes[0], mask)
    assert flow(planes[1], wide)[0] == pytest.approx([16, 0], abs=1.5)


def test_an_object_that_passes_behind_another_is_followed_by_its_visible_part() -> None:
    """Two boxes overlap; the one that ends lower is in front and stands still."""
    before, after = plane(60, 20), plane(64, 20)
    for luma in (before, after):
        luma[40:110, 72:92] = cv2.resize(TEXTURE, (20, 70))
    flow = Flow(SHAPE, MAIN)
    flow.keep(before, np.full(SHAPE, 255, np.uint8))
    behind, front = (240, 80, 320, 240), (288, 160, 368, 440)
    shifts = flow(after, np.array([behind, front], np.float32))
    assert shifts == pytest.approx(np.array([[16, 0], [0, 0]]), abs=1.5)
    hidden = (288, 180, 360, 300)
    assert np.isnan(flow(after, np.array([hidden, front], np.float32))[0]).all()


def test_pixels_that_are_not_in_a_blob_are_not_followed() -> None:
    """Such a track, for example behind a post, continues with its own velocity."""
    flow = Flow(SHAPE, MAIN)
    luma = plane(60, 40)
    flow.keep(luma, np.zeros(SHAPE, np.uint8))
    assert np.isnan(flow(luma, boxes((60, 40)))).all()


def test_no_boxes_have_no_shifts() -> None:
    assert Flow(SHAPE, MAIN)(plane(0, 0), boxes()).shape == (0, 2)
