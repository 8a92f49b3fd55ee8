"""From footage to a dataset: objects, ghosts, and the names that a person gives them."""

from __future__ import annotations

import ast
import html
import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.ground_truth import Objects
from edge.config.schema import DEFAULT_MODEL, PrivacySettings, Settings, SourceSettings
from edge.errors import ConfigError, EdgeError, PermanentError, SourceError
from edge.sources.scenes.synthetic import SyntheticScene, SyntheticSource
from mobiledet.cli import commands
from mobiledet.dataset import DatasetError, coco, read_dataset
from mobiledet.harvest.compare import compare, matched
from mobiledet.harvest.footage import harvest_settings, observe
from mobiledet.harvest.ghosts import GHOST, edge_share, fault, steady
from mobiledet.harvest.labels import COLUMNS, read_tracks
from mobiledet.harvest.make import Options, harvest
from mobiledet.harvest.sampling import choose
from mobiledet.harvest.splits import NAMES, Shares, split_at
from mobiledet.harvest.store import load
from mobiledet.harvest.trails import Moment, Observations, Sighting, Trail, unexplained

MODELS = Path(__file__).resolve().parents[2] / "models/mobiledet/mobiledet"
WALK = "synthetic:walk?duration=30&fps=10&seed=1&objects=2&width=320&height=240"


def quiet(_done: int, _total: int | None) -> None:
    pass


def make(out: Path, *footage: str, **options: object) -> Path:
    harvest(Settings(), footage, out, Options(**options), lambda _: quiet)  # type: ignore[arg-type]
    return out


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def observed(uri: str, every_s: float = 0.5) -> Observations:
    return observe(harvest_settings(Settings(), uri), every_s, None, frozenset(), quiet)


def scene(uri: str) -> SyntheticScene:
    return SyntheticSource(SourceSettings(uri=uri, fast=True)).scene


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A harvest that no test changes; `copy` is for those that do."""
    return make(tmp_path_factory.mktemp("walked") / "set", WALK, label="object",
                shares=Shares(1, 0, 0))  # fmt: skip


@pytest.fixture
def copy(walked: Path, tmp_path: Path) -> Path:
    shutil.copytree(walked, tmp_path / "set")
    return tmp_path / "set"


def test_walking_objects_are_found_in_their_places(walked: Path, tmp_path: Path) -> None:
    drawn, lines = scene(WALK), []
    for index in range(300):
        for number, (x0, y0, x1, y1) in zip(*drawn.truth(index), strict=True):
            if x1 - x0 >= 8:  # only objects that are well inside the picture
                lines.append(f"{index + 1},{number},{x0},{y0},{x1 - x0},{y1 - y0},1")
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    result = compare(walked, tmp_path / "gt.txt")
    assert result.pictures > 20
    assert result.objects > 40
    assert result.precision > 0.9
    assert result.recall > 0.85
    assert result.missed < 0.1 * result.objects


def test_pictures_for_training_show_no_privacy_mask(tmp_path: Path) -> None:
    top = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.25), (0.0, 0.25))
    settings = Settings(privacy=PrivacySettings(masks=(top,)))
    footage = "synthetic:walk?duration=8&fps=10&seed=1&objects=2&width=320&height=240"
    options = Options(label="object", shares=Shares(1, 0, 0))
    harvest(settings, [footage], tmp_path / "set", options, lambda _: quiet)
    pictures = [cv2.imread(str(path)) for path in (tmp_path / "set").rglob("*.jpg")]
    assert pictures
    for picture in pictures:
        assert picture[:50].max() < 12
        assert picture[70:].mean() > 50


@pytest.mark.parametrize(
    "name", ["still", "noise", "drift", "step", "flicker", "shake", "infrared", "cloud"]
)
def test_changes_of_light_noise_and_knocks_give_no_object(name: str) -> None:
    trails = observed(f"synthetic:{name}?duration=20&fps=10&width=320&height=240").trails
    assert [trail.fault for trail in trails if not trail.fault] == []


def images(folder: Path, count: int, put: Callable[[int], tuple[int, int] | None]) -> Path:
    """5 frames a second of a textured scene. put: place of a textured box by frame index."""
    random = np.random.default_rng(5)
    coarse = random.uniform(70, 150, (24, 32)).astype(np.float32)
    ground = np.asarray(cv2.resize(coarse, (320, 240)), np.float32)
    thing = cv2.resize(random.uniform(0, 255, (10, 5)).astype(np.float32), (30, 60))
    folder.mkdir()
    for index in range(count):
        picture = ground.copy()
        if (at := put(index)) is not None:
            picture[at[1] : at[1] + 60, at[0] : at[0] + 30] = thing
        picture += random.normal(0, 2, picture.shape)
        cv2.imwrite(str(folder / f"{index:04d}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    return folder


def observed_in(folder: Path) -> Observations:
    settings = Settings(source=SourceSettings(fps=5))
    return observe(harvest_settings(settings, str(folder)), 0.4, None, frozenset(), quiet)


def test_an_object_that_leaves_the_background_leaves_a_ghost(tmp_path: Path) -> None:
    stands_then_goes = images(tmp_path / "a", 150, lambda n: (100, 90) if n < 100 else None)
    assert [trail.fault for trail in observed_in(stands_then_goes).trails] == [GHOST]


def test_an_object_that_comes_and_stands_is_no_ghost(tmp_path: Path) -> None:
    comes = images(tmp_path / "a", 150, lambda n: (min(5 * (n - 50), 150), 90) if n > 50 else None)
    (trail,) = observed_in(comes).trails
    assert trail.fault == ""
    assert trail.sightings[-1].time_s > 25  # it stays an object while it stands
    assert trail.sightings[-1].box_xyxy == pytest.approx((150, 90, 180, 150), abs=3)


def test_an_object_in_the_first_frame_leaves_no_ghost(tmp_path: Path) -> None:
    leaves = images(tmp_path / "a", 100, lambda n: (100 + 8 * n, 90) if n < 23 else None)
    trails = observed_in(leaves).trails
    assert [trail.fault for trail in trails] == [""]
    assert trails[0].sightings[0].box_xyxy == pytest.approx((100, 90, 130, 150), abs=4)


def test_edges_along_the_outline_distinguish_an_object_from_its_ghost() -> None:
    ground = np.full((60, 80), 90, np.uint8)
    thing, mask = ground.copy(), np.zeros((60, 80), np.uint8)
    thing[20:40, 30:50], mask[20:40, 30:50] = 200, 255
    box = (30, 20, 50, 40)
    assert edge_share(thing, ground, mask, box) == 1
    assert edge_share(ground, thing, mask, box) == 0
    assert edge_share(ground, ground, mask, box) == 0.5


def trail(*boxes: tuple[float, float, float, float], step_s: float = 0.1) -> Trail:
    return Trail([Sighting(n, n * step_s, box) for n, box in enumerate(boxes)])


def test_a_trail_that_is_brief_still_or_flickers_has_a_fault() -> None:
    walks = [(5.0 * n, 0.0, 5.0 * n + 10, 20.0) for n in range(20)]
    assert fault(trail(*walks)) == ""
    assert fault(trail(*walks[:3])) == "brief"
    assert fault(trail(*walks, step_s=0.01)) == "brief"
    assert fault(trail(*[(n % 3, 0, n % 3 + 10, 20) for n in range(20)])) == "still"
    flickers = [(5.0 * n, 0.0, 5.0 * n + 10, 20.0 if n % 2 else 10.0) for n in range(20)]
    assert fault(trail(*flickers)) == "flickers"


def test_a_sighting_in_which_two_objects_met_is_left_out() -> None:
    alone = [(5.0 * n, 0.0, 5.0 * n + 10, 20.0) for n in range(20)]
    alone[8] = (40.0, 0.0, 70.0, 20.0)
    assert np.flatnonzero(~steady(trail(*alone))).tolist() == [8]


def test_the_sightings_of_a_ghost_do_not_count_for_the_object_that_left_it() -> None:
    came = [Sighting(n, n / 5, (5.0 * n, 0, 5.0 * n + 10, 20), edges=0.6) for n in range(50)]
    left = [Sighting(n, n / 5, (250, 0, 260, 20), edges=0.3) for n in range(50, 120)]
    assert fault(Trail(came + left)) == ""
    kept = steady(Trail(came + left))
    assert kept[:45].all()
    assert not kept[60:].any()
    assert fault(Trail(left)) == GHOST
    assert steady(Trail(left)).all()  # a trail that is all ghost keeps its sightings


def test_a_sighting_in_a_box_of_the_teacher_is_not_new() -> None:
    boxes = [(0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 9, 9)]
    sightings = [Sighting(n, n, box) for n, box in enumerate(boxes)]
    places = {0: np.array([[2, 2, 5, 5]], np.float32), 1: np.array([[20, 0, 30, 9]], np.float32)}
    assert unexplained(sightings, places) == sightings[1:]


def test_a_standing_object_gets_no_further_pictures() -> None:
    moments = [Moment(n, float(n)) for n in range(100)]
    standing = Trail([Sighting(n, float(n), (0, 0, 10, 20)) for n in range(40)])
    passing = Trail([Sighting(n, float(n), (5.0 * n, 0, 5.0 * n + 10, 20)) for n in range(10, 14)])
    chosen = choose(Observations(100, moments, [standing, passing]))
    # Its appearance, the other that passes, and the empty scene every 30 s.
    assert [moment.frame_index for moment in chosen] == [0, 10, 11, 12, 13, 40, 70]
    assert len(choose(Observations(100, moments, [standing, passing]), limit=3)) == 3


@given(
    st.floats(1, 50_000),
    st.integers(1, 98),
    st.integers(0, 50),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_splits_keep_their_distance(
    duration_s: float, train: int, val: int, at: list[float]
) -> None:
    val = min(val, 100 - train)
    shares = Shares(train / 100, val / 100, (100 - train - val) / 100)
    times_s = sorted(share * duration_s for share in at)
    named = [(time_s, split_at(time_s, duration_s, shares)) for time_s in times_s]
    round_s = duration_s / max(1, round(duration_s / 3600))
    gap_s = min(0.02 * round_s, 30)
    kept = [(time_s, name) for time_s, name in named if name]
    for (before_s, before), (after_s, after) in pairwise(kept):
        assert before == after or after_s - before_s >= gap_s * 0.999


@pytest.mark.parametrize("duration_s", [80.0, 8 * 3600.0])
def test_splits_get_their_share_of_the_time(duration_s: float) -> None:
    times_s = np.linspace(0, duration_s, 10_001)
    names = [split_at(float(time_s), duration_s, Shares(0.6, 0.3, 0.1)) for time_s in times_s]
    shares = [names.count(name) / len(names) for name in NAMES]
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.021)
    assert names[0] == "train"
    assert names[-1] == "test"


def test_neither_a_track_nor_a_moment_is_in_two_splits(tmp_path: Path) -> None:
    """The four lanes are never empty, so that some track crosses each border."""
    uri = "synthetic:crossing?objects=5&duration=40&fps=5&seed=2&width=320&height=240"
    document = coco.load(make(tmp_path, uri, teacher="truth", every_s=0.4) / "dataset.json")
    split = {image.id: image.split for image in document.images}
    times_s = defaultdict(list)
    for image in document.images:
        times_s[image.split].append(image.time_s)
    assert max(times_s["train"]) + 0.8 < min(times_s["val"])
    assert max(times_s["val"]) + 0.8 < min(times_s["test"])
    splits = defaultdict(set)
    for annotation in document.annotations:
        if not annotation.iscrowd:
            splits[annotation.track_id].add(split[annotation.image_id])
    assert all(len(names) == 1 for names in splits.values())
    foreign = [a for a in document.annotations if a.iscrowd]
    assert foreign  # places to ignore
    assert {annotation.track_id for annotation in foreign} == {0}


def test_a_drawn_scene_names_its_objects(tmp_path: Path) -> None:
    uri = "synthetic:crossing?objects=4&duration=15&fps=5&width=320&height=240"
    folder = make(tmp_path, uri, teacher="truth", shares=Shares(1, 0, 0))
    dataset, drawn = read_dataset(folder), scene(uri)
    assert dataset.labels == ("car", "deer")
    document = coco.load(folder / "dataset.json")
    for picture, image in zip(dataset.pictures, document.images, strict=True):
        ids, boxes = drawn.truth(image.frame_index)
        named = sorted(zip(boxes.tolist(), [drawn.labels[n] for n in ids], strict=True))
        labels = [dataset.labels[class_id] for class_id in picture.class_ids]
        assert sorted(zip(picture.boxes_xyxy.tolist(), labels, strict=True)) == named


def test_a_teacher_labels_real_footage(shared_data: Path, tmp_path: Path) -> None:
    folder = make(
        tmp_path, str(shared_data / "TUD-Campus.mp4"), every_s=0.2, shares=Shares(1, 0, 0),
        teacher=DEFAULT_MODEL, only=frozenset(["person"]),
    )  # fmt: skip
    result = compare(folder, shared_data / "TUD-Campus.gt.txt")
    assert read_dataset(folder).labels == ("person",)
    assert result.precision > 0.85
    assert result.recall > 0.6


def test_the_folder_is_a_dataset_of_the_frames(walked: Path) -> None:
    dataset = read_dataset(walked, "train")
    assert dataset.labels == ("object",)
    document = coco.load(walked / "dataset.json")
    drawn = scene(WALK)
    for image in document.images[::10]:
        picture = cv2.imread(str(walked / image.file_name))
        assert picture is not None
        frame = drawn.render(image.frame_index).bgr()
        assert np.abs(picture.astype(int) - frame).mean() < 6  # JPEG
    assert {path.name for path in walked.iterdir()} == {
        "dataset.json", "images", "tracks.csv", "sheet.html",
    }  # fmt: skip
    assert len(list((walked / "images").iterdir())) == len(document.images)


def test_names_become_classes_and_a_track_without_a_name_is_ignored(copy: Path) -> None:
    tracks = [row.track for row in read_tracks(copy / "tracks.csv") if not row.note]
    named, nameless, rejected = tracks[:3]
    (copy / "labels.json").write_text(json.dumps(dict.fromkeys(tracks, "fox") | {nameless: ""}))
    done = run("label", copy, "--labels", copy / "labels.json", "--name", f"{named}=deer",
               "--reject", rejected)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "deer: 1 tracks" in done.output
    assert "rejected: 1 tracks" in done.output
    document = coco.load(copy / "dataset.json")
    assert [category.name for category in document.categories] == ["deer", "fox"]
    by_track = {a.track_id: a for a in document.annotations}
    assert by_track[named].category_id == 1
    assert (by_track[nameless].category_id, by_track[nameless].iscrowd) == (0, 1)
    assert rejected not in by_track
    assert {a.track_id for a in document.rejected} == {rejected}
    assert read_dataset(copy).labels == ("deer", "fox")
    assert run("label", copy, "--name", f"{rejected}=fox").exit_code == 0  # the rejection is undone
    assert coco.load(copy / "dataset.json").rejected == []


def test_the_rest_gets_one_name_or_is_rejected(copy: Path) -> None:
    path = copy / "tracks.csv"
    path.write_text(path.read_text().replace(",object,", ",,"))
    first, second, *others = (row.track for row in read_tracks(path))
    done = run("label", copy, "--name", f"{first}=fox", "--reject", second, "--rest", " hare ")
    assert done.exit_code == 0, done.output
    labels = {row.track: row.label for row in read_tracks(path)}
    assert labels == {first: "fox", second: "-"} | dict.fromkeys(others, "hare")
    assert "without a name, ignored: 0 tracks" in done.output
    assert run("label", copy, "--rest", "deer").exit_code == 0  # finds none without a name
    assert {row.track: row.label for row in read_tracks(path)} == labels
    assert run("label", copy, "--name", f"{first}= -", "--rest", "-").exit_code == 0
    assert {row.label for row in read_tracks(path)} == {"-", "hare"}


def test_names_can_be_edited_in_the_table(copy: Path) -> None:
    path = copy / "tracks.csv"
    path.write_text(path.read_text().replace(",object,", ",hare,"))
    assert run("label", copy).exit_code == 0
    assert read_dataset(copy).labels == ("hare",)


def test_a_table_that_a_spreadsheet_saved_with_semicolons_is_read(copy: Path) -> None:
    """A spreadsheet does this where the decimal sign is a comma; some add a byte order mark."""
    path = copy / "tracks.csv"
    rows = [msgspec.structs.replace(row, to_s=row.to_s + 0.25) for row in read_tracks(path)]
    lines = [";".join(COLUMNS)]
    for row in rows:
        values = msgspec.structs.asdict(row)
        numbers = {name: str(values[name]).replace(".", ",") for name in ("from_s", "to_s")}
        lines.append(";".join(str((values | numbers)[name]) for name in COLUMNS))
    path.write_text("\ufeff" + "\r\n".join(lines).replace(";object;", ";hare;") + "\r\n")
    saved = read_tracks(path)
    assert [(row.track, row.from_s, row.to_s) for row in saved] == [
        (row.track, row.from_s, row.to_s) for row in rows
    ]
    assert run("label", copy).exit_code == 0
    assert read_dataset(copy).labels == ("hare",)


def test_only_the_chosen_labels_of_the_teacher_are_used(tmp_path: Path) -> None:
    uri = "synthetic:crossing?duration=10&fps=5"
    folder = make(tmp_path, uri, teacher="truth", only=frozenset(["deer"]))
    assert read_dataset(folder).labels == ("deer",)
    assert any(row.label == "" for row in read_tracks(folder / "tracks.csv"))  # the cars, by motion


def test_a_harvest_without_names_is_refused_for_training(tmp_path: Path) -> None:
    folder = make(tmp_path, "synthetic:walk?duration=12&fps=5")
    with pytest.raises(DatasetError, match=r"dataset\.json: it names no class"):
        read_dataset(folder)


def test_other_footage_is_added_and_the_same_footage_refused(copy: Path) -> None:
    before = load(copy)
    done = run("harvest", "synthetic:crossing?duration=10&fps=5", "--teacher", "truth",
               "--out", copy)  # fmt: skip
    assert done.exit_code == 0, done.output
    store = load(copy)
    assert store.coco.images[: len(before.coco.images)] == before.coco.images
    assert len(store.rows) > len(before.rows)
    assert set(store.thumbs) == {row.track for row in store.rows}
    assert len({a.id for a in store.coco.annotations}) == len(store.coco.annotations)
    assert read_dataset(copy).labels == ("car", "deer", "object")
    with pytest.raises(ConfigError, match=r"holds synthetic:walk.* already"):
        make(copy, "synthetic:step?duration=5", WALK)
    with pytest.raises(ConfigError, match=r"synthetic:step is given twice"):
        make(copy, "synthetic:step", "synthetic:step")
    with pytest.raises(SourceError, match="no such file"):  # before any work on the first
        make(copy, "synthetic:step", "gone.mp4")
    assert load(copy).sources() == store.sources()


def test_footage_of_the_same_name_in_two_folders(tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        images(tmp_path / name / "cam", 40, lambda n: (5 * n, 90))
    make(tmp_path / "set", *(str(tmp_path / name / "cam") for name in ("monday", "tuesday")))
    document = coco.load(tmp_path / "set/dataset.json")
    names = [image.file_name for image in document.images]
    assert len(set(names)) == len(names)
    assert all((tmp_path / "set" / name).is_file() for name in names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["harvest"], "Missing argument 'FOOTAGE...'"),
        (["harvest", "a.mp4"], "Missing option '--out'"),
        (["harvest", "a.mp4", "--out", "{}", "--split", "90/5/10"], "90/5/10: write three shares"),
        (["harvest", "a.mp4", "--out", "{}", "--split", "0/50/50"], "0/50/50: write three shares"),
        (["harvest", "a.mp4", "--out", "{}", "--teacher-tiles"], "needs --teacher"),
        (["label", "{}", "--name", "deer"], "--name deer: write TRACK=NAME, such as 12=deer"),
    ],
)
def test_wrong_usage_is_refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = run(*(argument.format(tmp_path) for argument in arguments))
    assert done.exit_code == 2
    assert sentence in done.output


@pytest.mark.parametrize(
    ("footage", "options", "kind", "sentence"),
    [
        ("gone.mp4", {}, SourceError, "source gone.mp4: .*no such file"),
        (__file__, {}, SourceError, r"test_train_harvest\.py: "),
        ("synthetic:walks", {}, SourceError, "no scene 'walks'"),
        ("synthetic:still", {"teacher": "truth"}, PermanentError, "this scene has no figures"),
        (
            "synthetic:crossing",
            {"teacher": "truth", "only": frozenset(["dear"])},
            ConfigError,
            "--only dear: the teacher's labels are car, deer",
        ),
        ("synthetic:walk", {"teacher": "gone.tflite"}, PermanentError, "gone.tflite"),
    ],
)
def test_unusable_footage_is_refused_before_a_file_is_written(
    footage: str, options: dict[str, object], kind: type[EdgeError], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        make(tmp_path / "set", footage, **options)
    assert not (tmp_path / "set").exists()


def test_only_a_drawn_scene_can_be_its_own_teacher(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", 5, lambda _: None)
    with pytest.raises(ConfigError, match="needs a synthetic: scene, which knows its objects"):
        make(tmp_path / "set", str(folder), teacher="truth")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "dataset.json").unlink(), "{0}: not a harvested dataset"),
        (lambda f: (f / "tracks.csv").unlink(), "{0}/tracks.csv: "),
        (lambda f: (f / "tracks.csv").write_text("track\n1\n"),
         "{0}/tracks.csv, line 1: column label is missing"),
        (lambda f: append(f, "one,fox,a,0,1,2,"), "{0}/tracks.csv, line {1}: Expected `int`"),
        (lambda f: append(f, "999,fox,a,0,1,2,"),
         "{0}/tracks.csv, line {1}: dataset.json has no track 999"),
        (lambda f: append(f, (f / "tracks.csv").read_text().splitlines()[1]),
         "{0}/tracks.csv, line {1}: track 1 has a line already"),
        (lambda f: (f / "sheet.html").write_text("<html>"),
         "{0}/sheet.html: not the contact sheet of a harvest"),
    ],
)  # fmt: skip
def test_a_damaged_harvest_is_reported_with_the_file(
    damage: Callable[[Path], object], sentence: str, copy: Path
) -> None:
    damage(copy)
    lines = 0
    if (copy / "tracks.csv").exists():
        lines = len((copy / "tracks.csv").read_text().splitlines())
    done = run("label", copy)
    assert isinstance(done.exception, DatasetError)
    assert str(done.exception).startswith(sentence.format(copy, lines))
    assert done.exception.exit_code == 2


def append(folder: Path, line: str) -> None:
    with (folder / "tracks.csv").open("a") as stream:
        stream.write(line + "\n")


@pytest.mark.parametrize("text", ["{", '{"1": 2}', '{"999": "fox"}'])
def test_labels_for_unknown_tracks_change_nothing(text: str, copy: Path) -> None:
    (copy / "labels.json").write_text(text)
    before = (copy / "dataset.json").read_bytes()
    done = run("label", copy, "--labels", copy / "labels.json")
    assert isinstance(done.exception, DatasetError)
    assert str(done.exception).startswith(f"{copy}/labels.json: ")
    assert (copy / "dataset.json").read_bytes() == before


def test_the_page_names_tracks_with_the_keyboard(copy: Path, tmp_path: Path) -> None:
    """Presses keys in a real browser and reads the labels that it would save."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("BROWSER ABSENT: neither chromium nor google-chrome; this test was not run")
    presses = """<script>
      const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", {key,
        bubbles: true, cancelable: true}));
      press("x"); press("ArrowDown"); press("Backspace"); press("ArrowUp"); press("1");
      cards[3].input.value = "<deer>"; cards[3].input.dispatchEvent(new Event("input"));
      const images = [...document.images].filter(image => image.complete && image.naturalWidth);
      document.body.textContent = JSON.stringify(
        {labels: Object.fromEntries(labels), shown: images.length, all: document.images.length});
    </script></body>"""
    cards = [row.track for row in read_tracks(copy / "tracks.csv") if not row.note]
    cards += [row.track for row in read_tracks(copy / "tracks.csv") if row.note]
    page = (copy / "sheet.html").read_text().replace("</body>", presses)
    (tmp_path / "page.html").write_text(page)
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path / 'page.html'}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    body = re.search(r"<body>(\{.*\})\s*</body>", done.stdout)
    assert body is not None, done.stdout[-2000:]
    result = json.loads(html.unescape(body.group(1)))
    assert result["shown"] == result["all"] > len(cards)
    expected = dict.fromkeys(cards, "object")
    expected |= {cards[0]: "-", cards[2]: "", cards[3]: "<deer>"}
    assert result["labels"] == {str(track): label for track, label in expected.items()}


def test_harvest_and_datasets_import_no_tensorflow() -> None:
    for path in [*MODELS.glob("harvest/*.py"), *MODELS.glob("dataset/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("tensorflow" in name for name in names), path


def test_objects_and_boxes_match_one_to_one() -> None:
    objects = Objects(np.arange(2), np.array([[0, 0, 10, 10], [1, 0, 11, 10]], np.float32))
    assert matched(objects.boxes_xyxy, objects.boxes_xyxy[:1]).tolist() == [True, False]
    assert matched(objects.boxes_xyxy, np.zeros((0, 4), np.float32)).tolist() == [False, False]
