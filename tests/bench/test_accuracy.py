"""`edge bench accuracy`, with valid and with invalid ground truth."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from edge.bench.accuracy import accuracy
from edge.bench.ground_truth import load_ground_truth
from edge.cli import commands
from edge.config.schema import Settings
from edge.errors import PermanentError

pytest.importorskip("motmetrics", reason="NO motmetrics: pip install 'edge-trigger[bench]'")


@pytest.fixture(scope="module")
def start_of_pets(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 30 frames, so that a test takes seconds."""
    path = tmp_path_factory.mktemp("footage") / "pets.mkv"
    with av.open(str(shared_data / "vtest.avi")) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 768, 576, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == 30:
                break
            frame.pts = index
            frame.time_base = Fraction(1, 10)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


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
        accuracy(Settings(), tmp_path / "v.mp4", path, names, label, lambda *_: None)
