"""Blobs become crops on canvases, and detections are mapped back to the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import RegionSettings
from edge.vision.picture import Picture, PixelFormat
from edge.vision.regions import GREY, Packer, combine, crops_around, merge, unpack
from edge.vision.types import Detections

MAIN = (1280, 720)
INPUT = (300, 300)


def packer(**settings: object) -> Packer:
    return Packer(RegionSettings(**settings), INPUT, MAIN)  # type: ignore[arg-type]


def detections(*rows: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Detections(boxes, np.full(count, score, np.float32), np.zeros(count, np.int64))


@st.composite
def main_boxes(draw: st.DrawFn) -> np.ndarray:
    count = draw(st.integers(1, 9))
    rows = []
    for _ in range(count):
        w, h = draw(st.integers(4, 700)), draw(st.integers(4, 700))
        x, y = draw(st.integers(0, MAIN[0] - w)), draw(st.integers(0, MAIN[1] - h))
        rows.append((x, y, x + w, y + h))
    return np.array(rows, np.float32)


def test_merging_no_blobs_gives_no_blobs() -> None:
    merged, owner = merge(np.zeros((0, 4), np.float32), 0.1)
    assert merged.shape == (0, 4)
    assert owner.shape == (0,)


def test_a_chain_of_fragments_is_merged_and_a_distant_blob_is_not() -> None:
    blobs = np.array(
        [[0, 0, 10, 10], [500, 0, 510, 10], [0, 11, 10, 21], [0, 22, 10, 32]], np.float32
    )
    merged, owner = merge(blobs, 0.1)
    assert merged.tolist() == [[0, 0, 10, 32], [500, 0, 510, 10]]
    assert owner.tolist() == [0, 1, 0, 0]


@given(main_boxes())
def test_a_merged_box_contains_its_fragments(blobs: np.ndarray) -> None:
    merged, owner = merge(blobs, 0.1)
    assert (merged[owner][:, :2] <= blobs[:, :2]).all()
    assert (merged[owner][:, 2:] >= blobs[:, 2:]).all()


@given(
    st.tuples(st.floats(-50, 1300), st.floats(-50, 800)),
    st.tuples(st.floats(10, 2000), st.floats(10, 2000)),
)
def test_a_crop_lies_in_the_picture_and_keeps_its_shape(
    centre: tuple[float, float], size: tuple[float, float]
) -> None:
    x, y = centre
    around = np.array([(x - 5, y - 5, x + 5, y + 5)], np.float32)
    ((x0, y0, x1, y1),) = crops_around(around, np.array([size], np.float32), MAIN)
    assert 0 <= x0 <= x1 <= MAIN[0]
    assert 0 <= y0 <= y1 <= MAIN[1]
    scale = min(1, MAIN[0] / size[0], MAIN[1] / size[1])
    assert abs(x1 - x0 - max(10, scale * size[0])) <= 1
    assert abs(y1 - y0 - max(10, scale * size[1])) <= 1


def test_the_crop_of_a_tall_object_fills_its_cell_without_grey_bars() -> None:
    tall = np.array([(600, 20, 900, 715)], np.float32)
    layout, _ = packer().next(tall)
    (cell,) = layout.cells
    assert cell.cell_xyxy == (0, 0, *INPUT)
    x0, y0, x1, y1 = cell.crop_xyxy
    assert (x1 - x0, y1 - y0) == (720, 720)


def test_the_crop_of_an_object_as_wide_as_the_picture_shows_all_of_it() -> None:
    ((x0, _, x1, _),) = crops_around(
        np.array([(0, 300, 1280, 500)], np.float32), np.full((1, 2), 2048, np.float32), MAIN
    )
    assert (x0, x1) == (0, 1280)


@given(main_boxes())
def test_cells_do_not_overlap_and_show_their_subjects(boxes: np.ndarray) -> None:
    layout, visible = packer().next(boxes)
    assert visible[0]
    assert 1 <= len(layout.cells) <= 6
    painted = np.zeros(INPUT[::-1], np.int32)
    for cell, subject in zip(layout.cells, layout.subjects_xyxy, strict=True):
        x0, y0, x1, y1 = cell.cell_xyxy
        painted[y0:y1, x0:x1] += 1
        assert (np.array(cell.crop_xyxy[:2]) <= subject[:2] + 0.51).all()
        assert (np.array(cell.crop_xyxy[2:]) >= subject[2:] - 0.51).all()
    assert painted.max() == 1


@given(main_boxes())
def test_a_detection_is_mapped_back_to_the_place_of_its_subject(boxes: np.ndarray) -> None:
    layout, _ = packer(context=2.0).next(boxes)
    for index, (cell, subject) in enumerate(zip(layout.cells, layout.subjects_xyxy, strict=True)):
        on_canvas = cell.to_canvas(subject[None])
        parts = unpack(layout, detections(*map(tuple, on_canvas.tolist())), MAIN)
        if len(parts[index]):  # empty where the subject touches a border of its crop
            assert np.abs(parts[index].boxes_xyxy[0] - subject).max() < 0.5


def test_small_subjects_share_a_canvas_and_a_large_one_fills_one() -> None:
    small = [(100 + 300 * i, 100, 130 + 300 * i, 180) for i in range(4)]
    layout, visible = packer().next(np.array(small, np.float32))
    assert len(layout.cells) == 4
    assert visible.all()
    large = np.array([(100, 100, 400, 600), *small], np.float32)
    layout, visible = packer().next(large)
    assert len(layout.cells) == 1
    assert visible[0]


def test_large_boxes_share_a_canvas_where_each_is_known_to_hold_one_object() -> None:
    large = np.array([(100, 100, 220, 500), (900, 100, 1020, 500)], np.float32)
    assert len(packer().next(large, np.array([True, False]))[0].cells) == 1
    layout, _ = packer().next(large, np.array([True, True]))
    assert len(layout.cells) == 2
    for cell in layout.cells:  # each is as high in its cell as a smaller object would be
        crop_px = cell.crop_xyxy[3] - cell.crop_xyxy[1]
        assert 400 / crop_px == pytest.approx(1 / RegionSettings().context, abs=0.01)


@pytest.mark.parametrize(
    ("shape", "across", "down"),
    [((30, 80), 3, 2), ((80, 30), 2, 3), ((90, 90), 2, 2)],
)
def test_cells_have_the_shape_that_shows_the_most_subjects(
    shape: tuple[int, int], across: int, down: int
) -> None:
    w, h = shape
    corners = [(20 + 200 * i, 20 + 250 * j) for i in range(6) for j in range(2)]
    boxes = np.array([(x, y, x + w, y + h) for x, y in corners], np.float32)
    packing = packer(max_shrink=1.0)
    layout, _ = packing.next(boxes)
    lefts = {cell.cell_xyxy[0] for cell in layout.cells}
    tops = {cell.cell_xyxy[1] for cell in layout.cells}
    assert (len(lefts), len(tops), len(layout.cells)) == (across, down, across * down)


def test_without_packing_each_subject_has_its_own_canvas() -> None:
    small = np.array([(100, 100, 130, 180), (600, 100, 630, 180)], np.float32)
    layout, visible = packer(pack=False).next(small)
    assert len(layout.cells) == 1
    assert visible.tolist() == [True, False]


def test_a_subject_that_a_neighbours_crop_shows_needs_no_cell() -> None:
    near = np.array([(100, 100, 130, 180), (125, 110, 150, 170), (900, 1, 930, 80)], np.float32)
    layout, visible = packer().next(near)
    assert len(layout.cells) == 2
    assert visible.all()


def test_a_canvas_contains_the_crops_with_grey_between_them() -> None:
    rgb = np.zeros((MAIN[1], MAIN[0], 3), np.uint8)
    rgb[:, :640] = (200, 0, 0)
    rgb[:, 640:] = (0, 0, 200)
    boxes = np.array([(200, 300, 230, 380), (900, 300, 930, 380)], np.float32)
    packing = packer(gutter_px=10)
    layout, _ = packing.next(boxes)
    canvas = packing.fill(layout, Picture(PixelFormat.RGB, (rgb,)))
    left, right = (cell.cell_xyxy for cell in layout.cells)
    assert canvas[left[1] : left[3], left[0] : left[2]].reshape(-1, 3).tolist()[0] == [200, 0, 0]
    assert (canvas[right[1] : right[3], right[0] : right[2]] == (0, 0, 200)).all()
    assert (canvas[:, left[2] : right[0]] == GREY).all()
    assert (canvas[left[3] :] == GREY).all()


def test_a_detection_across_a_gutter_or_cut_by_a_crop_is_dropped() -> None:
    boxes = np.array([(200, 300, 230, 380), (900, 300, 930, 380)], np.float32)
    layout, _ = packer().next(boxes)
    x0, _, x1, _ = layout.cells[0].cell_xyxy
    straddling = (x1 - 30, 40, x1 + 34, 100)
    cut = (x0, 40, x0 + 40, 100)
    whole = (x0 + 40, 40, x0 + 70, 100)
    first, second = unpack(layout, detections(straddling, cut, whole), MAIN)
    assert len(first) == 1
    assert len(second) == 0


def test_a_detection_at_the_edge_of_the_picture_is_kept() -> None:
    layout, _ = packer().next(np.array([(0, 300, 30, 380)], np.float32))
    touching = tuple(layout.cells[0].to_canvas(np.array([[0, 300, 30, 380]], np.float32))[0])
    (detected,) = unpack(layout, detections(touching), MAIN)
    assert detected.boxes_xyxy[0] == pytest.approx([0, 300, 30, 380], abs=0.5)


def test_the_same_object_in_two_crops_counts_once() -> None:
    full, part = detections((100, 100, 140, 200)), detections((102, 100, 138, 150), score=0.6)
    other = detections((300, 100, 340, 200))
    assert len(combine([full, part, other], 0.5)) == 2
    crowd = Detections.concatenate([full, part])
    assert len(combine([crowd, other], 0.5)) == 3  # the detector separated those of one crop
