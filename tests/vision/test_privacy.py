"""Masks are black in pictures of every format; blurred boxes keep a few cells of colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.vision.privacy import CELLS, Painter, blurred
from edge.vision.types import EncodedPacket, Frame
from tests.support.captures import frame as frame_of

LEFT = [(0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0)]
TRIANGLE = [(0.5, 0.5), (1.0, 0.5), (0.75, 1.0)]
FORMATS = ["I420", "NV12", "RGB", "BGR"]


def locked(frame: Frame) -> Frame:
    """The frame with planes that belong to a decoder."""
    for plane in (*frame.main.planes, frame.luma):
        plane.flags.writeable = False
    return frame


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("is_locked", [False, True])
def test_masks_are_black_and_the_rest_stays(form: str, is_locked: bool) -> None:
    before, frame = frame_of(3, form=form), frame_of(3, form=form)
    painted = Painter([LEFT])(locked(frame) if is_locked else frame)
    rgb = painted.main.rgb()
    assert not rgb[:, :80].any()
    assert not painted.main.bgr()[:, :80].any()
    assert (rgb[:, 84:] == before.main.rgb()[:, 84:]).all()
    assert (painted.luma[:, :40] == 16).all()
    assert (painted.luma[:, 42:] == before.luma[:, 42:]).all()
    for new, given, old in zip(
        painted.main.planes, frame.main.planes, before.main.planes, strict=True
    ):
        assert np.shares_memory(new, given) is not is_locked
        assert not is_locked or (given == old).all()


def test_planes_with_padded_rows_are_painted_in_place() -> None:
    frame = frame_of(0, form="NV12")
    padded = [np.pad(p, [(0, 0), (0, 32), *[(0, 0)] * (p.ndim - 2)]) for p in frame.main.planes]
    views = tuple(p[:, : q.shape[1]] for p, q in zip(padded, frame.main.planes, strict=True))
    Painter([LEFT])(replace(frame, main=replace(frame.main, planes=views)))
    assert (padded[0][:, :80] == 16).all()
    assert (padded[1][:, :40] == 128).all()
    assert not padded[0][:, 320:].any()


def test_overlapping_masks_hide_what_both_cover() -> None:
    rgb = Painter([LEFT, LEFT, TRIANGLE])(frame_of(0)).main.rgb()
    assert not rgb[:, :80].any()
    assert not rgb[122:238, 239:241].any()
    assert rgb[:118, 90:].any(axis=2).mean() > 0.9


def test_a_mask_of_the_whole_picture_leaves_nothing() -> None:
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    painted = Painter([whole])(frame_of(0))
    assert not painted.main.rgb().any()
    assert (painted.luma == 16).all()


def test_a_painter_follows_the_size_and_gives_no_packets() -> None:
    paint = Painter([LEFT])
    packet = EncodedPacket(b"", 0, keyframe=True)
    for width in (320, 640, 320):
        painted = paint(replace(frame_of(0, width=width), packets=(packet,)))
        assert not painted.main.rgb()[:, : width // 4].any()
        assert painted.main.rgb()[:, width // 4 + 4 :].any()
        assert painted.packets == ()


def checkers() -> np.ndarray:
    rows = np.indices((240, 320)).sum(axis=0) // 3 % 2 * 255
    return np.repeat(rows[..., None], 3, axis=2).astype(np.uint8)


def test_a_blurred_box_has_a_few_cells_and_the_rest_stays() -> None:
    image = checkers()
    hidden = blurred(image, [(100.0, 40.0, 160.0, 160.0)])
    inside = hidden[40:160, 100:160].astype(int)
    assert np.ptp(inside) < 60  # the fine pattern is gone
    changes = (np.diff(inside[:, 30, 0]) != 0).sum()
    assert changes <= CELLS
    outside = np.ones(image.shape[:2], bool)
    outside[28:173, 94:167] = False
    assert (hidden[outside] == image[outside]).all()
    assert (image == checkers()).all()


@pytest.mark.parametrize(
    "box", [(-50.0, -50.0, 30.0, 30.0), (300.0, 200.0, 900.0, 900.0), (0.0, 0.0, 1e5, 1e5)]
)
def test_a_box_beyond_the_picture_is_blurred_within_it(
    box: tuple[float, float, float, float],
) -> None:
    hidden = blurred(checkers(), [box])
    x, y = min(max(int(box[0]) + 10, 5), 314), min(max(int(box[1]) + 10, 5), 234)
    assert hidden.shape == (240, 320, 3)
    assert 20 < hidden[y, x, 0] < 235


def test_a_box_outside_and_a_box_of_a_few_pixels_do_no_harm() -> None:
    image = checkers()
    assert (blurred(image, [(400.0, 10.0, 500.0, 90.0), (-9.0, -9.0, -5.0, -5.0)]) == image).all()
    small = blurred(image, [(10.0, 10.0, 13.0, 14.0)])
    assert len(np.unique(small[10:14, 10:13].reshape(-1, 3), axis=0)) <= 2
