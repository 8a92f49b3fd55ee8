"""A dataset made by a larger model alone: real footage drawn here, the real default model."""

from __future__ import annotations

import pytest

from edge.config.schema import ModelSettings
from edge.errors import PermanentError
from edge.vision.detector import Detector
from edge.vision.detector.catalogue import find_model
from mobiledet.dataset import DatasetError, read_dataset
from mobiledet.dataset.coco import load
from mobiledet.distill import Span, distill

SCENE = "synthetic:visits?fps=4&duration=30"


@pytest.fixture(scope="module")
def teacher() -> Detector:
    settings = ModelSettings(threads=1)
    return Detector(settings, find_model(settings.file))


def test_footage_becomes_a_dataset_split_in_time(teacher, tmp_path):
    span = Span(every=6, train_share=0.7, gap_s=2.0)
    progress: list[int] = []
    count = distill(SCENE, tmp_path, teacher, span, lambda done, _total: progress.append(done))
    assert count > 0
    images = load(tmp_path / "dataset.json").images
    times = {s: [i.time_s for i in images if i.split == s] for s in ("train", "val")}
    assert min(times["val"]) - max(times["train"]) >= 2.0
    found = read_dataset(tmp_path)
    assert found.labels == ("person",)
    assert sum(len(picture.boxes_xyxy) for picture in found.pictures) == count
    assert progress[-1] == 120
    with pytest.raises(DatasetError, match="there is a dataset already"):
        distill(SCENE, tmp_path, teacher, span, lambda _done, _total: None)


def test_a_span_without_frames_is_told(teacher, tmp_path):
    with pytest.raises(PermanentError, match="no frames between 900 and 901 s"):
        distill(SCENE, tmp_path, teacher, Span(start_s=900, end_s=901), lambda _d, _t: None)
