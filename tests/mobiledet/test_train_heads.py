"""Anchors, shapes and targets of the grid and of the head without anchors. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.vision.detector.layouts.ssd import decode_boxes
from mobiledet.anchors import BACKGROUND, IGNORED
from mobiledet.dataset import read_dataset
from mobiledet.design import BOX_SCALES, Design, DesignError
from mobiledet.heads import head_of
from mobiledet.heads.shapes import canvas_sizes, cluster, designed, shape_iou
from mobiledet.run import Run, RunError, load
from tests.support import drawn_objects

NONE, NO_IDS = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
TALL, WIDE, LARGE = (0.1, 0.2), (0.2, 0.1), (0.5, 0.5)
GRID = Design(
    labels=("a", "b", "c"),
    size_px=128,
    head="grid",
    grid_anchors=((TALL, WIDE), (LARGE, (0.8, 0.8))),
)
FREE = Design(labels=("a", "b", "c"), size_px=128, head="anchor_free")
BOTH = pytest.mark.parametrize("design", [GRID, FREE], ids=["grid", "anchor_free"])


def box(cx: float, cy: float, w: float, h: float) -> list[float]:
    return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]


@pytest.mark.parametrize(
    ("design", "count"), [(GRID, 2 * 64 + 2 * 16), (FREE, 64 + 16 + 4)], ids=["grid", "anchor_free"]
)
def test_every_cell_has_its_predictions(design, count):
    head = head_of(design)
    assert len(head.anchors) == count
    assert (head.anchors[:, 2:] > 0).all()
    assert sum(n * s**2 for n, s in zip(head.per_cell, design.map_sizes, strict=True)) == count


@BOTH
def test_the_code_of_an_object_decodes_to_it(design):
    head = head_of(design)
    boxes = np.array([box(0.3, 0.3, 0.1, 0.22), box(0.7, 0.6, 0.45, 0.5)], np.float32)
    targets = head.targets(boxes, np.array([0, 2]), NONE)
    for class_id, wanted in ((0, boxes[0]), (2, boxes[1])):
        rows = np.flatnonzero(targets.classes == class_id + 1)
        assert len(rows)
        decoded = decode_boxes(targets.codes[rows], head.anchors[rows], BOX_SCALES)
        assert np.abs(decoded - wanted).max() < 1e-5
    assert set(targets.classes.tolist()) <= {IGNORED, BACKGROUND, 1, 3}
    assert not targets.codes[targets.classes <= 0].any()


def test_an_object_belongs_to_the_anchor_of_its_shape_in_the_cell_of_its_centre():
    head = head_of(GRID)
    targets = head.targets(np.array([box(0.32, 0.45, 0.2, 0.1)], np.float32), np.array([1]), NONE)
    (row,) = np.flatnonzero(targets.classes > 0)
    cy, cx, h, w = head.anchors[row]
    assert (w, h) == pytest.approx(WIDE)
    assert max(abs(cx - 0.32), abs(cy - 0.45)) <= 1 / 16  # half a cell


def test_another_anchor_that_overlaps_the_object_is_not_background():
    head = head_of(GRID)
    targets = head.targets(np.array([box(0.375, 0.375, 0.8, 0.8)], np.float32), np.array([1]), NONE)
    neighbour = np.abs(head.anchors - (0.375, 0.625, 0.8, 0.8)).max(axis=1) < 1e-6
    assert targets.classes[neighbour].tolist() == [IGNORED]


def test_two_objects_with_one_centre_have_an_anchor_each():
    head = head_of(GRID)
    boxes = np.array([box(0.3, 0.3, 0.1, 0.2), box(0.3, 0.3, 0.1, 0.2)], np.float32)
    targets = head.targets(boxes, np.array([0, 1]), NONE)
    assert {1, 2} <= set(targets.classes.tolist())


@pytest.mark.parametrize(
    ("side", "maps"), [(0.2, {8}), (0.45, {8}), (0.7, {8, 4}), (0.9, {4}), (1.0, {4})]
)
def test_an_object_is_predicted_on_the_maps_of_its_size(side, maps):
    """The squares have sides of 0.5 and 1 on maps of 8 and 4 cells."""
    head = head_of(FREE)
    boxes = np.array([box(0.5, 0.5, side, side)], np.float32)
    classes = head.targets(boxes, np.array([0]), NONE).classes
    parts = {8: classes[:64], 4: classes[64:80], 2: classes[80:]}
    assert {cells for cells, part in parts.items() if part.any()} == maps


def test_the_smaller_of_two_objects_owns_the_cells_that_both_hold():
    head = head_of(FREE)
    boxes = np.array([box(0.5, 0.5, 0.5, 0.5), box(0.5, 0.5, 0.35, 0.35)], np.float32)
    classes = head.targets(boxes, np.array([0, 1]), NONE).classes[:64].reshape(8, 8)
    assert (classes[3:5, 3:5] == 2).all()
    assert (classes[2, 2:6] == 1).all()


def test_a_tiny_object_between_cells_has_a_cell():
    head = head_of(FREE)
    targets = head.targets(np.array([box(0.5, 0.5, 0.02, 0.02)], np.float32), np.array([0]), NONE)
    assert (targets.classes == 1).sum() == 1


@BOTH
def test_without_objects_only_places_to_ignore_are_not_background(design):
    head = head_of(design)
    assert not head.targets(NONE, NO_IDS, NONE).classes.any()
    ignored = np.array([[0, 0, 0.5, 1]], np.float32)
    classes = head.targets(NONE, NO_IDS, ignored).classes
    left = head.anchors[:, 1] < 0.5
    assert (classes[left] == IGNORED).any()
    assert not classes[~left].any()


def test_groups_of_shapes_are_found():
    random = np.random.default_rng(3)
    shapes = np.array([TALL, WIDE, LARGE], np.float32)
    sizes = shapes[random.integers(3, size=300)] * random.uniform(0.95, 1.05, (300, 2))
    found = cluster(np.asarray(sizes, np.float32), 3)
    best = shape_iou(shapes, found).max(axis=1)
    assert best.min() > 0.95
    assert np.array_equal(found, cluster(np.asarray(sizes, np.float32), 3))


def test_more_groups_than_sizes_still_give_shapes():
    found = cluster(np.array([TALL], np.float32), 3)
    assert found.shape == (3, 2)
    assert (found > 0).all()


@pytest.mark.parametrize(("maps", "count"), [(1, 5), (2, 3)])
def test_the_grid_gets_the_anchors_of_the_dataset(tmp_path, maps, count):
    data = read_dataset(drawn_objects.make(tmp_path / "shapes", 12, 4), "train")
    design = designed(Design(labels=data.labels, size_px=96), "grid", data, maps)
    assert [len(shapes) for shapes in design.grid_anchors] == [count] * maps
    areas = [w * h for shapes in design.grid_anchors for w, h in shapes]
    assert areas == sorted(areas)
    sizes = canvas_sizes(data, 96, 100)
    shapes = np.array([s for of_map in design.grid_anchors for s in of_map], np.float32)
    assert shape_iou(sizes, shapes).max(axis=1).mean() > 0.6
    again = msgspec.json.decode(msgspec.json.encode(design), type=Design)
    assert again == design


def test_a_grid_without_anchors_is_refused():
    with pytest.raises(DesignError, match="needs anchors"):
        Design(labels=("a",), head="grid")


def test_a_size_that_cannot_be_cut_into_patches_is_refused():
    assert Design(labels=("a",), size_px=300, backbone="mobilenet_v1_patches").map_sizes[0] == 19
    with pytest.raises(DesignError, match="that 4 divides"):
        Design(labels=("a",), size_px=98, backbone="mobilenet_v1_patches")


def test_a_run_from_before_there_were_heads_is_read(tmp_path: Path):
    (tmp_path / "run.json").write_text(
        '{"design": {"labels": ["deer"], "backbone": "fire", "alpha": 0.25, "size_px": 224,'
        ' "extra": "depthwise", "scales": [0.15, 0.9]}, "training": {"dataset": "d", "split":'
        ' "train", "steps": 9, "batch": 32, "seed": 0, "learning_rate": 0.002, "loss": "focal"}}'
    )
    run: Run = load(tmp_path)
    assert (run.design.head, run.design.grid_anchors) == ("ssd", ())


def test_a_grid_without_anchors_in_a_file_is_refused(tmp_path: Path):
    (tmp_path / "run.json").write_text(
        '{"design": {"labels": ["deer"], "head": "grid"},'
        ' "training": {"dataset": "d", "split": "train", "steps": 9}}'
    )
    with pytest.raises(RunError, match=r"run\.json: the grid head needs anchors"):
        load(tmp_path)
