"""Anchors and the objects that they predict, without TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from edge.vision.detector.layouts.ssd import decode_boxes
from mobiledet.anchors import BACKGROUND, IGNORED, PER_CELL, corners, make_anchors, match
from mobiledet.design import BOX_SCALES, Design

NONE = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize("size_px", [128, 192, 256, 300, 320])
def test_the_last_map_is_one_cell_and_every_cell_has_its_anchors(size_px):
    design = Design(labels=("a",), size_px=size_px)
    anchors = make_anchors(design.map_sizes, design.scales)
    assert design.map_sizes[-1] == 1
    assert len(anchors) == PER_CELL * sum(cells**2 for cells in design.map_sizes)
    assert anchors[:, :2].min() > 0
    assert anchors[:, :2].max() < 1


def test_scales_grow_by_the_same_factor():
    anchors = make_anchors((4, 2, 1), (0.2, 0.8))
    assert anchors[[0, 96, 120], 2] == pytest.approx([0.2, 0.4, 0.8])
    area = anchors[:5, 2] * anchors[:5, 3]
    assert area == pytest.approx([0.04] * 5)


def test_an_encoded_box_decodes_to_the_object():
    anchors = make_anchors((8, 4, 2, 1), (0.15, 0.9))
    boxes = np.array([[0.1, 0.2, 0.25, 0.6], [0.5, 0.5, 0.52, 0.53]], np.float32)
    targets = match(anchors, boxes, np.array([0, 2]), NONE)
    for class_id, box in zip((1, 3), boxes, strict=True):
        rows = np.flatnonzero(targets.classes == class_id)
        assert len(rows) > 0  # the tiny one fits no anchor well, and still has one
        decoded = decode_boxes(targets.codes[rows], anchors[rows], BOX_SCALES)
        assert decoded == pytest.approx(np.tile(box, (len(rows), 1)), abs=1e-5)


def test_two_objects_that_fit_one_anchor_best_get_an_anchor_each():
    anchors = make_anchors((2, 1), (0.4, 0.9))
    boxes = np.array([[0.05, 0.05, 0.45, 0.45], [0.06, 0.05, 0.46, 0.45]], np.float32)
    classes = match(anchors, boxes, np.array([0, 1]), NONE).classes
    assert {1, 2} <= set(classes.tolist())


def test_a_picture_without_objects_is_background():
    targets = match(make_anchors((4, 1), (0.2, 0.9)), NONE, np.zeros(0, np.int64), NONE)
    assert (targets.classes == BACKGROUND).all()
    assert not targets.codes.any()


def test_ignored_places_are_neither_object_nor_background():
    anchors = make_anchors((8, 4, 1), (0.1, 0.9))
    left = np.array([[0, 0, 0.5, 1]], np.float32)
    classes = match(anchors, NONE, np.zeros(0, np.int64), left).classes
    inside = corners(anchors)[:, 2] < 0.5
    assert (classes[inside & (corners(anchors)[:, 3] <= 1)][:20] == IGNORED).any()
    assert (classes[corners(anchors)[:, 0] > 0.5] == BACKGROUND).all()


def test_the_scores_of_four_classes_have_another_width_than_the_boxes():
    widths = [Design(labels=tuple("abcdef"[:count])).columns for count in (1, 3, 4, 5)]
    assert widths == [1, 3, 5, 5]
