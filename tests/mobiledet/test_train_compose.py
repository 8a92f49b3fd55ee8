"""Objects cut out of photographs and pasted on empty scenes. No TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge.config.schema import Settings
from edge.errors import ConfigError
from mobiledet.cli import commands
from mobiledet.compose.cutouts import ALPHA, GRABCUT, PLAIN, Cutout, cut, photographs
from mobiledet.compose.make import Options, Stock, composed, dealt
from mobiledet.compose.paste import Piece, lit, posed, shaded
from mobiledet.compose.scenes import Scene, empty_scene
from mobiledet.dataset import DatasetError, read_dataset
from mobiledet.harvest.labels import read_tracks
from mobiledet.harvest.splits import Shares
from mobiledet.harvest.store import load

WALK = "synthetic:walk?duration=12&fps=10&seed=1&objects=1&width=320&height=240"
SIDE = 120
CENTRE, AXES = (60, 66), (34, 22)  # of the drawn object, an ellipse, x and y


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def shape() -> np.ndarray:
    """(SIDE, SIDE) bool: the object's pixels."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, CENTRE, AXES, 0, 0, 360, (1,), cv2.FILLED)
    return mask.astype(bool)


def photograph(path: Path, kind: str, seed: int = 0) -> Path:
    """A brownish object before a background of a kind, or transparent around it."""
    random = np.random.default_rng(seed)
    object_bgr = np.array([40, 70, 130]) + random.integers(-12, 13, (SIDE, SIDE, 3))
    if kind == GRABCUT:  # grass: two greens in stripes, and noise
        stripes = np.where(np.arange(SIDE)[:, None, None] // 6 % 2, [40, 150, 60], [60, 200, 100])
        behind = stripes + random.integers(-20, 21, (SIDE, SIDE, 3))
    else:
        behind = np.full((SIDE, SIDE, 3), 235) + random.integers(-2, 3, (SIDE, SIDE, 3))
    image = np.where(shape()[..., None], object_bgr, behind).clip(0, 255).astype(np.uint8)
    if kind == ALPHA:
        image = np.dstack([image, shape().astype(np.uint8) * 255])
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for number in range(8):
        photograph(tmp_path / "fox" / f"{number}.png", ALPHA, number)
        photograph(tmp_path / "owl" / f"{number}.png", PLAIN, number)
    return tmp_path


def compose(folder: Path, *options: object) -> Result:
    return run(
        "compose", WALK, "--out", folder / "set", "--class", f"fox={folder}/fox",
        "--class", f"owl={folder}/owl", "--pictures", 20, *options,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [ALPHA, PLAIN, GRABCUT])
def test_the_object_is_cut_out_as_its_background_allows(tmp_path: Path, kind: str) -> None:
    cutout = cut(photograph(tmp_path / "a.png", kind))
    assert cutout is not None
    assert cutout.method == kind
    width, height = 2 * AXES[0] + 1, 2 * AXES[1] + 1
    assert cutout.alpha.shape == pytest.approx((height, width), abs=4)
    x, y = CENTRE[0] - AXES[0], CENTRE[1] - AXES[1]
    wanted = shape()[y : y + height, x : x + width]
    got = cv2.resize(cutout.alpha, (width, height)) >= 128
    assert (wanted & got).sum() / (wanted | got).sum() > 0.93
    assert np.median(cutout.bgr[cutout.alpha >= 128], axis=0) == pytest.approx([40, 70, 130], abs=8)


def test_a_photograph_without_an_object_has_no_cutout(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "plain.png"), np.full((80, 80, 3), 200, np.uint8))
    assert cut(tmp_path / "plain.png") is None
    clear = np.zeros((80, 80, 4), np.uint8)
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    assert cut(tmp_path / "clear.png") is None


def test_a_large_cutout_is_reduced_without_a_rim_of_its_hidden_colour(tmp_path: Path) -> None:
    image = np.zeros((1000, 1000, 4), np.uint8)  # white where it can't be seen
    image[..., :3] = 255
    image[301:703, 307:705] = (20, 20, 20, 255)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cutout = cut(tmp_path / "a.png")
    assert cutout is not None
    assert max(cutout.alpha.shape) == pytest.approx(160, abs=2)
    assert cutout.bgr[cutout.alpha >= 128].max() <= 22


def test_a_damaged_picture_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(DatasetError, match=r"a\.png: not a readable picture"):
        cut(tmp_path / "a.png")
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none: no pictures"):
        photographs(tmp_path / "none")


def test_the_empty_scene_has_no_object_and_knows_its_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    still = cv2.resize(random.integers(60, 200, (6, 8, 3), np.uint8), (160, 120))
    for number in range(80):
        frame = still + random.normal(0, 4, still.shape)
        frame[40:80, 2 * number : 2 * number + 24] = (0, 0, 255)  # passes through
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), frame.round().clip(0, 255))
    scene = empty_scene(Settings(), str(tmp_path))
    assert cv2.absdiff(scene.bgr, still).max() < 10
    assert scene.noise == pytest.approx(4, rel=0.3)


def test_the_scene_may_be_a_picture(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "yard.png"), image)
    scene = empty_scene(Settings(), str(tmp_path / "yard.png"))
    assert (scene.bgr == image).all()
    assert scene.noise == 0
    with pytest.raises(DatasetError, match=r"none\.png: not a readable picture"):
        empty_scene(Settings(), str(tmp_path / "none.png"))


def square(grey: int = 60) -> Cutout:
    bgr = np.full((50, 80, 3), grey, np.uint8)
    return Cutout(Path("square.png"), bgr, np.full((50, 80), 255, np.uint8), ALPHA)


def test_a_pose_has_the_wanted_size_and_its_box_is_that_of_its_pixels() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        piece = posed(square(), 120, random)
        x0, y0, x1, y1 = piece.box_xyxy()
        assert 0 < x0 < x1 < piece.alpha.shape[1]
        assert 0 < y0 < y1 < piece.alpha.shape[0]
        assert 120 / 1.2 < x1 - x0 < 120 * 1.25
        assert piece.bgr[piece.alpha > 0.9] == pytest.approx(60, abs=1)


def test_a_piece_takes_the_light_of_its_place() -> None:
    piece = posed(square(60), 100, np.random.default_rng(0))
    inside = piece.alpha > 0.9
    levels = {
        grey: np.mean(
            [
                lit(piece, np.full((9, 9, 3), grey, np.uint8), np.random.default_rng(n)).bgr[inside]
                for n in range(10)
            ]
        )
        for grey in (20, 60, 220)
    }
    assert levels[20] < 55
    assert levels[60] == pytest.approx(60, abs=8)
    assert 75 < levels[220] < 200


def test_a_shadow_darkens_beside_the_object_and_nothing_becomes_lighter() -> None:
    piece = posed(square(), 60, np.random.default_rng(0))
    darker = 0
    for seed in range(20):
        scene = np.full((200, 200, 3), 100, np.float32)
        shaded(scene, piece, (60, 60), np.random.default_rng(seed))
        assert scene.max() <= 100
        darker += bool(scene.min() < 92)
    assert 6 <= darker <= 18  # SHADOW_SHARE of them


def stock() -> Stock:
    return Stock({"square": [(7, square(0))]})


def test_boxes_enclose_the_pasted_pixels() -> None:
    scene = Scene("white", np.full((240, 320, 3), 255, np.uint8), 0.0)
    options = Options(objects=1, sizes=(0.2, 0.4))
    seen = 0
    for seed in range(20):
        bgr, objects = composed(scene, stock(), options, np.random.default_rng(seed))
        if not objects:
            assert (bgr == 255).all()
            continue
        seen += 1
        ((track_id, box),) = objects
        assert track_id == 7
        x0, y0, x1, y1 = (int(value) for value in box)
        assert 0 <= x0 < x1 <= 320
        assert 0 <= y0 < y1 <= 240
        assert bgr[(y0 + y1) // 2, (x0 + x1) // 2].max() < 200
        outside = bgr.min(axis=2) < 110  # darker than any shadow on white
        outside[y0:y1, x0:x1] = False
        assert outside.sum() <= 0.06 * (x1 - x0) * (y1 - y0)
    assert seen >= 15


def test_objects_hardly_cover_each_other() -> None:
    scene = Scene("white", np.full((240, 320, 3), 255, np.uint8), 0.0)
    options = Options(objects=6, sizes=(0.3, 0.5))
    most = 0
    for seed in range(10):
        _, objects = composed(scene, stock(), options, np.random.default_rng(seed))
        most = max(most, len(objects))
        for first, (_, a) in enumerate(objects):
            for _, b in objects[first + 1 :]:
                both = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(
                    0, min(a[3], b[3]) - max(a[1], b[1])
                )
                smaller = min((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
                assert both <= 0.16 * smaller
    assert most > 2


def test_photographs_are_dealt_to_splits_by_their_shares() -> None:
    splits = dealt(20, Shares())
    assert [splits.count(name) for name in ("train", "val", "test")] == [14, 3, 3]
    assert set(dealt(5, Shares())) == {"train", "val", "test"}
    assert set(dealt(9, Shares(0, 0, 1))) == {"test"}


def test_a_dataset_of_two_classes(animals: Path) -> None:
    done = compose(animals, "--licence", "mine, CC0")
    assert done.exit_code == 0, done.output
    assert "20 pictures added (14 train, 3 val, 3 test)" in done.output
    assert f"check the photographs without alpha channel on {animals}/set/sheet.html" in done.output
    whole = read_dataset(animals / "set")
    assert whole.labels == ("fox", "owl")
    assert sum(len(picture.ignored_xyxy) for picture in whole.pictures) == 0
    (origin,) = whole.origins
    assert origin.licence == "mine, CC0"
    assert origin.photographs == (f"{animals}/fox", f"{animals}/owl")
    document = json.loads((animals / "set/dataset.json").read_text())
    split = {image["id"]: image["split"] for image in document["images"]}
    shown: dict[int, set[str]] = {}
    for each in document["annotations"]:
        shown.setdefault(each["track_id"], set()).add(split[each["image_id"]])
    assert len(shown) >= 8
    assert all(len(splits) == 1 for splits in shown.values())
    assert {image["source"] for image in document["images"]} == {f"composed:{WALK}"}


def test_the_seed_decides_the_pictures(animals: Path, tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = compose(animals, "--seed", seed, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
        files.append((tmp_path / name / "images/composed-000001.jpg").read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_bad_cutout_can_lose_its_name_and_is_then_ignored(animals: Path) -> None:
    assert compose(animals).exit_code == 0
    rows = read_tracks(animals / "set/tracks.csv")
    assert {row.note for row in rows if row.label == "owl"} == {"cut from a plain background"}
    assert {row.note for row in rows if row.label == "fox"} == {""}
    assert all(load(animals / "set").thumbs[row.track] for row in rows)
    owl = next(row for row in rows if row.label == "owl")
    labels = {row.track: "" if row == owl else row.label for row in rows}
    (animals / "labels.json").write_text(json.dumps(labels))
    done = run("label", animals / "set", "--labels", animals / "labels.json")
    assert done.exit_code == 0, done.output
    after = read_dataset(animals / "set")
    assert sum(len(picture.ignored_xyxy) for picture in after.pictures) == owl.pictures > 0
    assert after.origins  # kept when the dataset is written again


def test_pictures_are_added_to_a_harvest_and_to_each_other(animals: Path) -> None:
    done = run("harvest", WALK, "--out", animals / "set", "--label", "walker", "--split", "100/0/0")
    assert done.exit_code == 0, done.output
    before = len(read_dataset(animals / "set").pictures)
    for total in (20, 40):
        assert compose(animals).exit_code == 0
        whole = read_dataset(animals / "set")
        assert len(whole.pictures) == before + total
        assert whole.labels == ("fox", "owl", "walker")
        assert len(whole.origins) == 1
    names = [picture.path.name for picture in whole.pictures]
    assert len(set(names)) == len(names)
    composed_twice = [picture.path.read_bytes() for picture in whole.pictures[before:]]
    assert len(set(composed_twice)) > 35


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--size", "40/8"), "write the least and the most in percent"),
        (("--split", "50/20"), "write three shares that add up to 100"),
        (("--class", "deer"), "write NAME=FOLDER"),
        (("--class", "-=."), "write NAME=FOLDER"),
        (("--class", "deer=nowhere"), "nowhere: no pictures"),
    ],
)
def test_bad_options_are_refused(animals: Path, options: tuple[str, ...], fault: str) -> None:
    done = compose(animals, *options)
    assert done.exit_code != 0
    assert fault in (done.output if done.exception is None else f"{done.output}{done.exception}")
    assert not (animals / "set").exists()


def test_too_few_photographs_for_the_splits_are_refused(animals: Path) -> None:
    photograph(animals / "elk" / "only.png", ALPHA)
    done = compose(animals, "--class", f"elk={animals}/elk")
    assert isinstance(done.exception, ConfigError)
    assert "class elk has too few photographs to have one in split val" in str(done.exception)


def test_all_pictures_may_be_for_a_test(animals: Path) -> None:
    done = compose(animals, "--split", "0/0/100")
    assert done.exit_code == 0, done.output
    assert len(read_dataset(animals / "set", "test").pictures) == 20


def test_empty_alpha_is_reported(animals: Path) -> None:
    cv2.imwrite(str(animals / "fox" / "blank.png"), np.zeros((60, 60, 4), np.uint8))
    done = compose(animals)
    assert f"no object found in {animals}/fox/blank.png" in done.output


def test_light_is_not_measured_on_a_speck() -> None:
    speck = Piece(np.full((3, 3, 3), 60, np.float32), np.ones((3, 3), np.float32))
    assert lit(speck, np.full((9, 9, 3), 200, np.uint8), np.random.default_rng(0)) is speck
