"""`edge bench accuracy`, with valid and with invalid ground truth."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge.bench.accuracy import Task, accuracy
from edge.bench.ground_truth import load_detections, load_ground_truth
from edge.cli import commands
from edge.config.schema import Settings
from edge.errors import ConfigError, PermanentError
from edge.vision.detector.catalogue import find_model
from tests.support.films import start_of

if find_spec("motmetrics") is None:  # its import takes a second, which only these tests need
    pytest.skip("NO motmetrics: pip install 'edge-trigger[bench]'", allow_module_level=True)


@pytest.fixture(scope="module")
def start_of_pets(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 30 frames, so that a test takes seconds."""
    return start_of(shared_data / "vtest.avi", 30, tmp_path_factory.mktemp("footage"))


def test_each_strategy_has_the_invocations_and_accuracy_that_it_should(
    start_of_pets: Path, shared_data: Path, tmp_path: Path
) -> None:
    out, picture = tmp_path / "a.json", tmp_path / "a.svg"
    truth = shared_data / "PETS09-S2L1.gt.txt"
    result = CliRunner().invoke(
        commands,
        ["bench", "accuracy", "--video", str(start_of_pets), "--ground-truth", str(truth),
         "--json", str(out), "--plot", str(picture)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    rows = {row["strategy"]: row for row in report["rows"]}
    assert report["frames"] == 30
    assert rows["whole-frame"]["invocations_per_frame"] == 1
    assert rows["tiles"]["invocations_per_frame"] == 9
    assert rows["tiles"]["recall"] > rows["whole-frame"]["recall"]
    assert rows["packed"]["invocations_per_frame"] < rows["crop-per-blob"]["invocations_per_frame"]
    # Half an invocation a frame, and the burst of six for the people who are there at first.
    assert rows["packed+scheduled"]["invocations_per_frame"] <= 0.5 + 6 / 30
    assert rows["packed+scheduled"]["f1"] > rows["whole-frame"]["f1"]
    assert rows["whole-frame"]["cpu_to_whole_frame"] == 1
    assert all(name in result.output for name in rows)
    assert {row["model"] for row in rows.values()} == {Settings().model.file}
    assert "<svg" in picture.read_text()


def test_ground_truth_without_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("\n")
    with pytest.raises(PermanentError, match="no objects"):
        load_ground_truth(path)


@pytest.mark.parametrize("line", ["1,2,three,4,5,6,1", "1,2,3", "frame 1"])
def test_an_error_names_the_invalid_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(f"1,1,10,20,30,40,1\n{line}\n")
    with pytest.raises(PermanentError, match="line 2"):
        load_ground_truth(path)


def test_boxes_are_read_as_corners_and_frames_count_from_0(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("3,7,10,20,30,40,1,-1,-1,-1\n")
    (frame,) = (truth := load_ground_truth(path))
    assert frame == 2
    assert truth[2].ids.tolist() == [7]
    assert np.array_equal(truth[2].boxes_xyxy, [[10, 20, 40, 60]])


@pytest.mark.parametrize(
    ("names", "label", "expected"), [(("guess",), "person", "expected one of"), ((), "cow", "cow")]
)
def test_an_unknown_strategy_or_label_is_named(
    tmp_path: Path, names: tuple[str, ...], label: str, expected: str
) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,1,10,20,30,40,1\n")
    with pytest.raises(PermanentError, match=expected):
        accuracy(Settings(), Task(tmp_path / "v.mp4", path, label), names, lambda *_: None)


def test_models_and_other_programs_are_compared_in_one_run(
    start_of_pets: Path, shared_data: Path, tmp_path: Path
) -> None:
    """The ground truth itself is one of the programs, and half of its boxes another."""
    truth, out = shared_data / "PETS09-S2L1.gt.txt", tmp_path / "a.json"
    lines = [line for line in truth.read_text().splitlines() if int(line.split(",")[0]) <= 30]
    (tmp_path / "tracker.txt").write_text("\n".join(lines))
    halves = [line.split(",") for line in lines[::2]]
    boxes = [[row[0], "-1", *row[2:6], "0.9"] for row in halves]
    boxes += [["5", "-1", "1", "1", "20", "40", "0.2"]]  # left out by --min-confidence
    (tmp_path / "detector.txt").write_text("\n".join(",".join(row) for row in boxes))
    other = tmp_path / "copy.tflite"
    other.write_bytes(find_model(Settings().model.file).read_bytes())
    result = CliRunner().invoke(
        commands,
        ["bench", "accuracy", "--video", str(start_of_pets), "--ground-truth", str(truth),
         "--model", Settings().model.file, "--model", str(other), "--min-confidence", "0.5",
         "--detections", str(tmp_path / "tracker.txt"),
         "--detections", str(tmp_path / "detector.txt"), "--json", str(out)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    shipped, copy, tracker, program = json.loads(out.read_text())["rows"]
    assert (shipped["model"], copy["model"]) == (Settings().model.file, "copy")
    for row in (shipped, copy):
        assert row["strategy"] == "packed+scheduled"
        assert row["min_score"] == 0.5
        assert row["model_mb"] == 3.79
        assert row["invocation_ms"] > 0
        assert 0 < row["invocations_per_frame"] <= 0.5 + 6 / 30
    quality = ("precision", "recall", "f1", "identity_switches", "invocations_per_frame")
    assert [shipped[name] for name in quality] == [copy[name] for name in quality]
    assert (tracker["model"], tracker["precision"], tracker["recall"]) == ("tracker.txt", 1, 1)
    assert (tracker["identity_switches"], tracker["mota"], tracker["idf1"]) == (0, 1, 1)
    assert program["precision"] == 1
    assert program["recall"] == pytest.approx(len(halves) / len(lines), abs=1e-4)
    assert [program[name] for name in ("identity_switches", "invocations_per_frame")] == [None] * 2
    assert all(row["model"] in result.output for row in (shipped, copy, tracker, program))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1,-1,10,20,30,40", "line 2: expected frame,id,left,top,width,height,confidence"),
        ("1,-1,10,20,30,x,1", "line 2: expected frame,id,left"),
        ("0,-1,10,20,30,40,1", "line 2: expected whole numbers for frame, from 1"),
        ("1.5,-1,10,20,30,40,1", "line 2: expected whole numbers for frame"),
        ("1,-1,10,20,0,40,1", "line 2: expected a width and height above 0, not 0 and 40"),
        ("1,-1,nan,20,30,40,1", "line 2: expected finite numbers"),
        ("1,7,10,20,30,40,1", "line 2: id 7, but -1 in line 1"),
    ],
)
def test_an_error_names_the_line_of_the_other_program(
    tmp_path: Path, line: str, expected: str
) -> None:
    path = tmp_path / "det.txt"
    path.write_text(f"1,-1,10,20,30,40,1\n{line}\n")
    with pytest.raises(ConfigError) as raised:
        load_detections(path)
    assert str(raised.value).startswith(f"detections {path}, ")
    assert expected in str(raised.value)


def test_an_identity_is_in_a_frame_once(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text("3,1,10,20,30,40,1\n3,2,90,20,30,40,1\n3,1,50,20,30,40,1\n")
    with pytest.raises(ConfigError, match="line 3: id 1 is in line 1 for frame 3 already"):
        load_detections(path)


@pytest.mark.parametrize("content", [b"\n", b"\xff\xfe1,-1", None])
def test_a_file_without_boxes_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "det.txt"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"det\.txt: it "):
        load_detections(path)


def test_boxes_after_the_end_of_the_video_are_refused(
    start_of_pets: Path, shared_data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "det.txt"
    path.write_text("30,-1,10,20,30,40,1\n31,-1,10,20,30,40,1\n")
    result = CliRunner().invoke(
        commands,
        ["bench", "accuracy", "--video", str(start_of_pets), "--first-frame", "29",
         "--ground-truth", str(shared_data / "PETS09-S2L1.gt.txt"), "--detections", str(path)],
    )  # fmt: skip
    assert isinstance(result.exception, ConfigError)
    assert "det.txt, line 2: frame 31, but the video ends with frame 30" in str(result.exception)
