"""Datasets in every format are read, or refused with the name of the damaged file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from mobiledet.cli import commands
from mobiledet.dataset import DatasetError, read_dataset
from mobiledet.dataset.base import OUTSIDE_PX, checked_box

WIDTH, HEIGHT = 64, 48


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)  # blue; OpenCV is BGR
    assert cv2.imwrite(str(path), picture)


def coco(**changes: Any) -> dict[str, Any]:
    document = {
        "images": [{"id": 7, "file_name": "images/a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20]},
            {"id": 2, "image_id": 7, "category_id": 9, "bbox": [30, 2, 10, 20]},
            {"id": 3, "image_id": 7, "category_id": 3, "bbox": [40, 8, 9, 9], "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "fox"}, {"id": 9, "name": "deer"}],
    }
    return document | changes


def write_coco(folder: Path, document: object, name: str = "dataset.json") -> Path:
    image(folder / "images/a.png")
    (folder / name).write_text(json.dumps(document))
    return folder


def voc(name: str = "a.png", box: tuple[float, ...] = (2, 3, 11, 22), **parts: str) -> str:
    corners = "".join(
        f"<{tag}>{value}</{tag}>"
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    size = parts.get("size", f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>")
    return (
        f"<annotation><filename>{name}</filename>{size}"
        f"<object><name>fox</name>{parts.get('flag', '')}<bndbox>{corners}</bndbox></object>"
        f"{parts.get('more', '')}</annotation>"
    )


def write_voc(folder: Path, text: str) -> Path:
    image(folder / "JPEGImages/a.png")
    (folder / "Annotations").mkdir()
    (folder / "Annotations/a.xml").write_text(text)
    return folder


def write_mot(folder: Path, text: str, frames: int = 2) -> Path:
    for number in range(1, frames + 1):
        image(folder / f"img1/{number:06d}.png")
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text(text)
    return folder


def test_coco(tmp_path: Path) -> None:
    data = read_dataset(write_coco(tmp_path, coco()))
    assert data.labels == ("fox", "deer")
    (picture,) = data.pictures
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.boxes_xyxy.tolist() == [[1, 2, 11, 22], [30, 2, 40, 22]]
    assert picture.class_ids.tolist() == [0, 1]
    assert picture.ignored_xyxy.tolist() == [[40, 8, 49, 17]]
    assert picture.rgb()[0, 0].tolist() == [0, 0, 255]


def test_coco_from_a_file_of_any_name(tmp_path: Path) -> None:
    write_coco(tmp_path, coco(), "instances.json")
    assert read_dataset(tmp_path / "instances.json").labels == ("fox", "deer")


def test_one_split_of_a_coco_file(tmp_path: Path) -> None:
    document = coco()
    image(tmp_path / "images/b.png")
    document["images"][0]["split"] = "train"
    document["images"].append(document["images"][0] | {"id": 8, "file_name": "images/b.png",
                                                       "split": "val"})  # fmt: skip
    document["annotations"].append(
        {"id": 4, "image_id": 8, "category_id": 3, "bbox": [0, 0, WIDTH, HEIGHT]}
    )
    write_coco(tmp_path, document)
    assert len(read_dataset(tmp_path).pictures) == 2
    assert [p.path.name for p in read_dataset(tmp_path, "train").pictures] == ["a.png"]
    # A split that only measures may lack a class.
    (picture,) = read_dataset(tmp_path, "val").pictures
    assert picture.class_ids.tolist() == [0]
    with pytest.raises(DatasetError, match=r"dataset\.json: no pictures in split test"):
        read_dataset(tmp_path, "test")


def test_a_split_of_a_coco_file_without_splits_is_refused(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    with pytest.raises(DatasetError, match=r"have no splits; give '' as split to use them all"):
        read_dataset(folder, "train")


def test_a_place_to_ignore_needs_no_class(tmp_path: Path) -> None:
    document = coco()
    document["annotations"][2]["category_id"] = 0
    (picture,) = read_dataset(write_coco(tmp_path, document)).pictures
    assert len(picture.ignored_xyxy) == 1


@pytest.mark.parametrize("beside", ["JPEGImages", "Annotations", "."])
def test_voc(tmp_path: Path, beside: str) -> None:
    more = voc(flag="<difficult>1</difficult>", box=(31, 3, 40, 22))
    more = more[more.index("<object>") : more.index("</annotation>")]
    write_voc(tmp_path, voc(more=more))
    (tmp_path / "JPEGImages/a.png").rename(tmp_path / beside / "a.png")
    data = read_dataset(tmp_path)
    assert data.labels == ("fox",)
    (picture,) = data.pictures
    assert picture.boxes_xyxy.tolist() == [[1, 2, 11, 22]]  # counted from 1, the last included
    assert picture.ignored_xyxy.tolist() == [[30, 2, 40, 22]]


def test_voc_without_folders(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(voc())
    assert read_dataset(tmp_path).labels == ("fox",)


def test_motchallenge(tmp_path: Path) -> None:
    folder = write_mot(tmp_path, "1,4,-5,2,15,20,1,-1,-1,-1\n1,5,30,2,10,20,1\n")
    data = read_dataset(folder)
    assert data.labels == ("person",)
    first, second = data.pictures
    assert first.boxes_xyxy.tolist() == [[0, 2, 10, 22], [30, 2, 40, 22]]
    assert len(second.boxes_xyxy) == 0
    assert (second.width, second.height) == (WIDTH, HEIGHT)


def _without_image(folder: Path) -> Path:
    write_coco(folder, coco())
    (folder / "images/a.png").unlink()
    return folder


def _damaged_image(folder: Path) -> Path:
    write_mot(folder, "1,4,1,2,15,20,1\n")
    (folder / "img1/000002.png").write_bytes(b"no image")
    return folder


def _annotation(**changes: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        document = coco()
        document["annotations"][0] |= changes
        return write_coco(folder, document)

    return make


def _voc_without_image(folder: Path) -> Path:
    return write_voc(folder, voc(name="b.png"))


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder

    return make


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "coco: image missing": (
        _without_image,
        "{0}/dataset.json: the image {0}/images/a.png is missing",
    ),
    "coco: no JSON": (
        _text("dataset.json", "{"),
        "{0}/dataset.json: not COCO JSON: Input data was truncated",
    ),
    "coco: a list": (
        lambda f: write_coco(f, []),
        "{0}/dataset.json: not COCO JSON: Expected `object`, got `array`",
    ),
    "coco: no categories": (
        lambda f: write_coco(f, {k: v for k, v in coco().items() if k != "categories"}),
        "{0}/dataset.json: not COCO JSON: Object missing required field `categories`",
    ),
    "coco: a box of three": (
        _annotation(bbox=[1, 2, 3]),
        "{0}/dataset.json: not COCO JSON: Expected `array` of length 4 "
        "- at `$.annotations[0].bbox`",
    ),
    "coco: class without objects": (
        lambda f: write_coco(f, coco(categories=[*coco()["categories"], {"id": 1, "name": "elk"}])),
        "{0}/dataset.json: class elk has no object; remove the class or label some",
    ),
    "coco: no class": (
        lambda f: write_coco(f, coco(categories=[], annotations=[])),
        "{0}/dataset.json: it names no class",
    ),
    "coco: no pictures": (
        lambda f: write_coco(f, coco(images=[], annotations=[])),
        "{0}/dataset.json: no pictures in it",
    ),
    "coco: two classes of one name": (
        lambda f: write_coco(f, coco(categories=[{"id": 3, "name": "a"}, {"id": 9, "name": "a"}])),
        "{0}/dataset.json: two entries for category a",
    ),
    "coco: one id twice": (
        lambda f: write_coco(f, coco(images=coco()["images"] * 2)),
        "{0}/dataset.json: two entries for image 7",
    ),
    "coco: box outside": (
        _annotation(bbox=[60, 2, 10, 20]),
        "{0}/dataset.json, images/a.png, annotation 1: box 60,2 to 70,22 lies outside its picture "
        "of 64x48",
    ),
    "coco: box empty": (
        _annotation(bbox=[1, 2, 0, 20]),
        "{0}/dataset.json, images/a.png, annotation 1: box 1,2 to 1,22 is empty",
    ),
    "coco: unknown image": (
        _annotation(image_id=8),
        "{0}/dataset.json, annotation 1: no image 8",
    ),
    "coco: unknown class": (
        _annotation(category_id=8),
        "{0}/dataset.json, annotation 1: no category 8",
    ),
    "voc: image missing": (
        _voc_without_image,
        "{0}/Annotations/a.xml: the image {0}/JPEGImages/b.png is missing",
    ),
    "voc: no XML": (
        lambda f: write_voc(f, "<annotation>"),
        "{0}/Annotations/a.xml: not a Pascal VOC annotation: no element found",
    ),
    "voc: another XML": (
        lambda f: write_voc(f, "<html><body/></html>"),
        "{0}/Annotations/a.xml: not a Pascal VOC annotation: <size><width> is missing",
    ),
    "voc: no size": (
        lambda f: write_voc(f, voc(size="")),
        "{0}/Annotations/a.xml: not a Pascal VOC annotation: <size><width> is missing",
    ),
    "voc: box outside": (
        lambda f: write_voc(f, voc(box=(60, 3, 70, 22))),
        "{0}/Annotations/a.xml: box 59,2 to 70,22 lies outside its picture of 64x48",
    ),
    "voc: box empty": (
        lambda f: write_voc(f, voc(box=(10, 3, 9, 22))),
        "{0}/Annotations/a.xml: box 9,2 to 9,22 is empty",
    ),
    "voc: only difficult ones": (
        lambda f: write_voc(f, voc(flag="<difficult>1</difficult>")),
        "{0}: class fox has no object; remove the class or label some",
    ),
    "mot: image missing": (
        lambda f: write_mot(f, "3,4,1,2,15,20,1\n"),
        "{0}/gt/gt.txt: the image {0}/img1/000003.jpg is missing",
    ),
    "mot: image damaged": (_damaged_image, "{0}/img1/000002.png: not a readable image"),
    "mot: box outside": (
        lambda f: write_mot(f, "1,4,64,2,15,20,1\n"),
        "{0}/gt/gt.txt: a box of frame 1 lies outside its picture",
    ),
    "mot: a damaged line": (
        lambda f: write_mot(f, "1,4,1,2,15,20,1\n1,4,here\n"),
        "ground truth {0}/gt/gt.txt, line 2: expected frame,id,left,top,width,height"
        "[,…], not '1,4,here'",
    ),
    "unknown format": (_text("labels.yaml", "path: ."), "{0}: unknown format; expected a COCO"),
    "nothing there": (lambda f: f / "gone", "{0}/gone: no such dataset"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_dataset_is_reported_with_the_file(case: str, tmp_path: Path) -> None:
    make, sentence = BAD[case]
    with pytest.raises(DatasetError) as raised:
        read_dataset(make(tmp_path))
    assert str(raised.value).startswith(sentence.format(tmp_path))
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)


def test_an_unreadable_image_is_reported_when_it_is_needed(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    (folder / "images/a.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"images/a\.png: not a readable image"):
        read_dataset(folder).pictures[0].rgb()


def test_check_counts_and_finds_damaged_images(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    done = CliRunner().invoke(commands, ["check", str(folder)])
    assert done.exit_code == 0
    assert done.output == f"{folder}: 1 pictures, 2 objects, 1 ignored\n  fox: 1\n  deer: 1\n"
    (folder / "images/a.png").write_bytes(b"no image")
    done = CliRunner().invoke(commands, ["check", str(folder)])
    assert isinstance(done.exception, DatasetError)
    assert "images/a.png: not a readable image" in str(done.exception)


def test_check_finds_an_image_of_another_size(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    cv2.imwrite(str(folder / "images/a.png"), np.zeros((HEIGHT, WIDTH * 2, 3), np.uint8))
    done = CliRunner().invoke(commands, ["check", str(folder)])
    expected = f"the image has 128x48 pixels, its labels are for {WIDTH}x{HEIGHT}"
    assert expected in str(done.exception)


numbers = st.floats(-20, 100, width=32)


@given(numbers, numbers, numbers, numbers)
@example(0.0, -1.0, 1.0, 0.0)  # outside by no more than rounding, and empty once it is cut
def test_a_box_is_cut_to_its_picture_or_refused(x0: float, y0: float, x1: float, y1: float) -> None:
    near = (
        min(x0, y0) >= -OUTSIDE_PX and x1 <= WIDTH + OUTSIDE_PX and y1 <= HEIGHT + OUTSIDE_PX
    )  # fmt: skip
    has_area = min(x1, WIDTH) > max(x0, 0) and min(y1, HEIGHT) > max(y0, 0)
    if near and has_area:
        left, top, right, bottom = checked_box("a.json", (x0, y0, x1, y1), WIDTH, HEIGHT)
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
        assert max(abs(left - x0), abs(top - y0), abs(right - x1), abs(bottom - y1)) <= OUTSIDE_PX
    else:
        with pytest.raises(DatasetError, match=r"^a\.json: box .* (is empty|lies outside)"):
            checked_box("a.json", (x0, y0, x1, y1), WIDTH, HEIGHT)
