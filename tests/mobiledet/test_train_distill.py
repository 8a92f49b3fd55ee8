"""A dataset labelled by a larger model alone: a drawn scene and the real default model."""

from __future__ import annotations

import pytest

from edge.config.schema import ModelSettings, Settings
from edge.errors import PermanentError
from edge.runtime.files import FileError
from edge.vision.detector import Detector
from mobiledet.dataset import DatasetError, read_dataset
from mobiledet.dataset.coco import load
from mobiledet.dataset.writing import write_document
from mobiledet.distill import Span, distill
from mobiledet.harvest.make import Options, harvest
from mobiledet.models import open_model

SCENE = "synthetic:visits?fps=4&duration=12&width=480&height=360"


@pytest.fixture(scope="module")
def teacher() -> Detector:
    return open_model(ModelSettings().file)


def test_footage_becomes_a_dataset_split_in_time(teacher, tmp_path):
    span = Span(every=3, train_share=0.6, gap_s=2.0)
    progress: list[int] = []
    count = distill(SCENE, tmp_path, teacher, span, lambda done, _total: progress.append(done))
    assert count > 0
    images = load(tmp_path / "dataset.json").images
    times = {s: [i.time_s for i in images if i.split == s] for s in ("train", "val")}
    assert min(times["val"]) - max(times["train"]) >= 2.0
    data = read_dataset(tmp_path)
    assert data.labels == ("person",)
    assert sum(len(picture.boxes_xyxy) for picture in data.pictures) == count
    assert progress[-1] == 48
    with pytest.raises(DatasetError, match="there is a dataset already"):
        distill(SCENE, tmp_path, teacher, span, lambda _done, _total: None)
    before = load(tmp_path / "dataset.json")
    assert distill(SCENE, tmp_path, teacher, span, lambda _d, _t: None, add=True) == count
    after = load(tmp_path / "dataset.json")
    assert after.images[: len(images)] == images
    assert after.annotations[: len(before.annotations)] == before.annotations
    assert [image.split for image in after.images[len(images) :]] == [i.split for i in images]
    both = read_dataset(tmp_path)  # checks that ids and names are unique
    assert both.labels == ("person",)
    assert sum(len(picture.boxes_xyxy) for picture in both.pictures) == 2 * count


def test_a_span_without_frames_is_refused(teacher, tmp_path):
    with pytest.raises(PermanentError, match="no frames between 900 and 901 s"):
        distill(SCENE, tmp_path, teacher, Span(start_s=900, end_s=901), lambda _d, _t: None)


def test_distill_and_harvest_write_the_same_form(teacher, tmp_path):
    distill(SCENE, tmp_path / "distilled", teacher, Span(every=30), lambda _d, _t: None)
    uri = "synthetic:crossing?duration=10&fps=5"
    options = Options(teacher="truth")
    harvest(Settings(), [uri], tmp_path / "harvested", options, lambda _: lambda _d, _t: None)
    for name in ("distilled", "harvested"):
        document = load(tmp_path / name / "dataset.json")
        assert all((tmp_path / name / image.file_name).is_file() for image in document.images)
        write_document(tmp_path / "again" / name, document)
        written = (tmp_path / name / "dataset.json").read_bytes()
        assert written == (tmp_path / "again" / name / "dataset.json").read_bytes()


def test_a_folder_that_cannot_be_made_is_reported(teacher, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file/set"
    with pytest.raises(FileError, match=r"file/set/images/000001\.jpg could not be written: "):
        distill(SCENE, out, teacher, Span(), lambda _d, _t: None)
    with pytest.raises(FileError, match=r"file/set/images/.*\.jpg could not be written: "):
        harvest(
            Settings(),
            ["synthetic:walk?duration=6&fps=5"],
            out,
            Options(),
            lambda _: lambda _d, _t: None,
        )
