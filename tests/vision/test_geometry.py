"""Boxes, suppression, polygons and the map between picture and canvas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.geometry import Cell, area, clip, covered, iou, nms, point_in_polygon

EMPTY = np.zeros((0, 4), np.float32)
SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


@st.composite
def some_boxes(draw: st.DrawFn, count: int = 8) -> np.ndarray:
    edge = st.integers(0, 1000)
    rows = draw(st.lists(st.tuples(edge, edge, edge, edge), max_size=count))
    return np.array(
        [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in rows], np.float32
    ).reshape(-1, 4)


def test_empty_arrays_have_no_area_and_no_overlap() -> None:
    assert area(EMPTY).shape == (0,)
    assert iou(EMPTY, boxes((0, 0, 1, 1))).shape == (0, 1)
    assert len(nms(EMPTY, np.zeros(0, np.float32), np.zeros(0, np.int64), 0.5)) == 0


def test_iou_of_known_boxes() -> None:
    a = boxes((0, 0, 10, 10))
    b = boxes((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30), (3, 3, 3, 3))
    assert iou(a, b)[0] == pytest.approx([1, 1 / 3, 0, 0])


def test_covered_is_the_share_of_the_first_box() -> None:
    assert covered(boxes((0, 0, 10, 10)), boxes((5, 0, 50, 10)))[0, 0] == pytest.approx(0.5)
    assert covered(boxes((5, 0, 50, 10)), boxes((0, 0, 10, 10)))[0, 0] == pytest.approx(5 / 45)


@given(some_boxes(), some_boxes())
def test_iou_is_symmetric_and_between_0_and_1(a: np.ndarray, b: np.ndarray) -> None:
    forth, back = iou(a, b), iou(b, a)
    assert np.allclose(forth, back.T)
    assert ((forth >= 0) & (forth <= 1 + 1e-6)).all()


@given(some_boxes(), st.data())
def test_nms_never_keeps_two_overlapping_boxes_of_a_class(
    rows: np.ndarray, data: st.DataObject
) -> None:
    count = len(rows)
    scores = np.array(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    classes = np.array(
        data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), np.int64
    )
    kept = nms(rows, scores.astype(np.float32), classes, 0.4)
    for i, a in enumerate(kept):
        for b in kept[i + 1 :]:
            assert classes[a] != classes[b] or iou(rows[[a]], rows[[b]])[0, 0] <= 0.4
    gone = set(range(count)) - set(kept.tolist())
    for row in gone:  # a kept box of its class with at least its score overlaps it
        same = [k for k in kept if classes[k] == classes[row] and scores[k] >= scores[row] - 1e-7]
        assert max(iou(rows[[row]], rows[same])[0], default=0) > 0.4


def test_nms_does_not_suppress_boxes_of_other_classes() -> None:
    rows = boxes((0, 0, 10, 10), (1, 0, 11, 10), (1, 0, 11, 10))
    kept = nms(rows, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 0, 1]), 0.5)
    assert kept.tolist() == [0, 2]


def test_clip_cuts_at_the_picture() -> None:
    assert clip(boxes((-5, -5, 200, 40)), 100, 50).tolist() == [[0, 0, 100, 40]]


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(0.5, 0.5, True), (0.1, 0.5, False), (0.5, 0.9, False), (0.2, 0.2, True)]
)
def test_point_in_polygon(x: float, y: float, inside: bool) -> None:
    assert point_in_polygon(x, y, SQUARE) is inside


def test_point_in_a_hollow_of_a_polygon_is_outside() -> None:
    hollow = [(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)]
    assert not point_in_polygon(2, 3, hollow)
    assert point_in_polygon(0.5, 2, hollow)


@given(
    st.tuples(
        st.integers(0, 3000), st.integers(0, 2000), st.integers(8, 1500), st.integers(8, 900)
    ),
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(30, 300), st.integers(30, 300)),
    some_boxes(),
)
def test_a_box_mapped_to_a_canvas_and_back_is_the_same_within_half_a_pixel(
    crop: tuple[int, int, int, int], place: tuple[int, int, int, int], rows: np.ndarray
) -> None:
    x, y, w, h = crop
    u, v, p, q = place
    cell = Cell((x, y, x + w, y + h), (u, v, u + p, v + q))
    assert np.abs(cell.to_main(cell.to_canvas(rows)) - rows).max(initial=0) < 0.5
    assert cell.to_canvas(boxes(cell.crop_xyxy))[0] == pytest.approx(cell.cell_xyxy, abs=1e-2)
