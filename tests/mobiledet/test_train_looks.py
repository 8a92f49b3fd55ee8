"""Inputs for training and measuring: crops, packed canvases, augmentation. No TensorFlow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.vision.types import Detections
from mobiledet.augment import Sample, constrained_crop, expanded, kept, mirrored, squeezed
from mobiledet.dataset import Dataset, Picture
from mobiledet.evaluation import score
from mobiledet.looks import Samples, measured_looks
from mobiledet.teacher import fuse

NONE = np.zeros((0, 4), np.float32)
BOX = np.array([[100, 60, 124, 130]], np.float32)
ONE = np.zeros(1, np.int64)


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Picture:
    """A white post on black."""
    image = np.zeros((180, 240, 3), np.uint8)
    image[60:130, 100:124] = 255
    path = tmp_path_factory.mktemp("looks") / "post.png"
    cv2.imwrite(str(path), image)
    return Picture(path, 240, 180, BOX, ONE, NONE)


@pytest.fixture(scope="module")
def sample(picture) -> Sample:
    return Sample(picture.rgb(), picture.boxes_xyxy, picture.class_ids, picture.ignored_xyxy)


def contrast(sample: Sample) -> tuple[float, float]:
    """Mean level inside all boxes, and highest level outside them."""
    inside = np.zeros(sample.image.shape[:2], np.bool_)
    for x0, y0, x1, y1 in np.concatenate([sample.boxes_xyxy, sample.ignored_xyxy]).round():
        inside[int(y0) : int(y1), int(x0) : int(x1)] = True
    grey = sample.image.mean(axis=2)
    return float(grey[inside].mean()), float(grey[~inside].max())


@pytest.mark.parametrize("seed", range(30))
def test_a_drawn_sample_has_its_boxes_on_the_objects(picture, seed):
    samples = Samples(Dataset(("post",), (picture,)), 128)
    drawn = samples.draw(np.random.default_rng(seed))
    assert drawn.image.shape == (128, 128, 3)
    boxes = drawn.boxes_xyxy
    assert ((boxes >= -0.01) & (boxes <= 128.01)).all()
    if len(boxes):
        inside, _ = contrast(drawn)
        assert inside > drawn.image.mean() + 20


def test_draws_show_the_object_and_some_are_packed(picture):
    samples = Samples(Dataset(("post",), (picture,)), 224)
    draws = [samples.draw(np.random.default_rng(seed)) for seed in range(100, 200)]
    counts = [len(drawn.boxes_xyxy) for drawn in draws]
    assert sum(count > 0 for count in counts) > 60
    gutters = [drawn.image[111:113].std() < 10 < drawn.image[56].std() for drawn in draws]
    assert 10 < sum(gutters) < 70


def test_a_draw_depends_on_its_random_generator_alone(picture):
    first, second = (
        Samples(Dataset(("post",), (picture,)), 96).draw(np.random.default_rng([3, 4]))
        for _ in range(2)
    )
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.boxes_xyxy, second.boxes_xyxy)


@pytest.mark.parametrize("crop_of", [constrained_crop, expanded])
@pytest.mark.parametrize("seed", range(10))
def test_crops_and_margins_keep_boxes_on_their_pixels(sample, crop_of, seed):
    crop = crop_of(sample, np.random.default_rng(seed))
    squeezed_sample = squeezed(sample, crop, 160)
    if len(squeezed_sample.boxes_xyxy):
        inside, _ = contrast(squeezed_sample)
        assert inside > 200


def test_boxes_are_mirrored_with_the_image(sample):
    turned = mirrored(sample)
    assert turned.boxes_xyxy.tolist() == [[116, 60, 140, 130]]
    assert contrast(turned) == (255.0, 0.0)


def test_an_object_that_a_crop_mostly_hides_is_ignored():
    most, less, bare = (0, 60, 240, 115), (0, 60, 240, 80), (0, 0, 240, 64)
    assert kept(BOX, ONE, NONE, most).boxes_xyxy.tolist() == [[100, 60, 124, 115]]
    assert len(kept(BOX, ONE, NONE, less).boxes_xyxy) == 0
    assert kept(BOX, ONE, NONE, less).ignored_xyxy.tolist() == [[100, 60, 124, 80]]
    assert len(kept(BOX, ONE, NONE, bare).ignored_xyxy) == 0


def test_a_measurement_uses_the_same_canvases_each_time_and_shows_every_object(picture):
    rgb = picture.rgb()
    runs = [
        [(layout, canvas.copy()) for layout, canvas in measured_looks(picture, rgb, 7, 128)]
        for _ in range(2)
    ]
    for (first, one), (second, other) in zip(*runs, strict=True):
        assert first.cells == second.cells
        assert np.array_equal(one, other)
    crops = [cell.crop_xyxy for layout, _ in runs[0] for cell in layout.cells]
    assert any(x0 <= 112 <= x1 and y0 <= 95 <= y1 for x0, y0, x1, y1 in crops)


def detections(*rows: tuple[list[float], float, int]) -> Detections:
    boxes, scores, ids = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(ids, np.int64),
    )


def test_views_that_agree_score_higher_than_a_single_one():
    views = np.array([[0, 0, 200, 200], [50, 0, 240, 200], [0, 0, 80, 200]], np.float32)
    seen = detections(
        ([100, 60, 124, 130], 0.9, 0), ([102, 60, 126, 130], 0.7, 0), ([10, 10, 30, 60], 0.6, 0)
    )
    fused = fuse(seen, views)
    assert fused.scores == pytest.approx([0.8, 0.3])  # two of two views, one of two
    assert fused.boxes_xyxy[0] == pytest.approx([100.875, 60, 124.875, 130])


def dataset() -> Dataset:
    boxes = np.array([[10, 10, 30, 50], [100, 10, 140, 50]], np.float32)
    ignored = np.array([[200, 0, 240, 60]], np.float32)
    from pathlib import Path

    picture = Picture(Path("none.png"), 240, 180, boxes, np.array([0, 1]), ignored)
    return Dataset(("fox", "hare"), (picture,))


def test_each_object_counts_once_and_only_with_the_right_class():
    pytest.importorskip("pycocotools", reason="PYCOCOTOOLS ABSENT: mAP was not measured")
    perfect = [detections(([10, 10, 30, 50], 0.9, 0), ([100, 10, 140, 50], 0.8, 1))]
    report = score(dataset(), perfect, 1)
    assert (report.map, report.map50, report.f1) == (1.0, 1.0, 1.0)
    twice = [detections(([10, 10, 30, 50], 0.9, 0), ([11, 10, 31, 50], 0.8, 0))]
    report = score(dataset(), twice, 1)
    assert (report.precision, report.recall) == (0.5, 0.5)
    assert report.classes[1].ap50 == 0
    swapped = [detections(([10, 10, 30, 50], 0.9, 1), ([100, 10, 140, 50], 0.8, 0))]
    assert score(dataset(), swapped, 1).map == 0
    assert score(dataset(), [detections()], 1).map == 0


def test_a_detection_in_an_ignored_place_is_no_error():
    pytest.importorskip("pycocotools", reason="PYCOCOTOOLS ABSENT: mAP was not measured")
    both = [
        detections(
            ([10, 10, 30, 50], 0.9, 0), ([100, 10, 140, 50], 0.8, 1), ([205, 5, 235, 55], 0.95, 0)
        )
    ]
    report = score(dataset(), both, 1)
    assert (report.map50, report.precision) == (1.0, 1.0)
