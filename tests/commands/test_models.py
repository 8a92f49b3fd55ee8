"""`edge models info` at the command line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.cli import commands
from tests.support import tflite


def found_model(path: Path) -> Path:
    """A model with one cat in the right half of every picture."""
    table = np.zeros((1, 300, 6), np.float32)
    table[0, 0] = [0.5, 0.25, 1.0, 0.75, 0.9, 1]
    return tflite.saved(path / "m.tflite", tflite.constant_model([table]), ["rock", "cat"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object):
        return CliRunner().invoke(commands, ["models", "info", *map(str, arguments)])

    return call


def test_info_opens_the_model_and_names_what_was_read(tmp_path: Path, run) -> None:
    result = run(found_model(tmp_path))
    assert result.exit_code == 0, result.output
    for line in (
        "input    320x320 RGB, float32, NHWC",
        "range    0..1, from the convention",
        "layout   end-to-end: ",
        "labels   2: rock, cat",
        "group    animal: cat",
    ):
        assert line in result.output
    assert " ms on this machine" in result.output


def test_a_picture_is_tried_and_drawn_in_its_own_shape(tmp_path: Path, run) -> None:
    """The canvas is square and the picture is twice as wide: boxes are in pixels of the picture."""
    picture = tmp_path / "p.png"
    cv2.imwrite(str(picture), np.full((200, 400, 3), 50, np.uint8))
    result = run(found_model(tmp_path), "--try", picture, "--out", tmp_path / "out.png")
    assert "found    cat 0.90 at 200,0 to 400,200" in result.output
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn.shape == (200, 400, 3)
    assert (drawn != 50).any()
    nothing = run(found_model(tmp_path), "--try", picture, "--min-score", "0.95")
    assert "found    nothing with a score of 0.95 or more" in nothing.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("absent.tflite",), "absent.tflite is neither a file nor a known model"),
     (("m.tflite", "--try", "absent.jpg"), "absent.jpg: not a picture file"),
     (("m.tflite", "--try", "m.tflite"), "m.tflite: not a picture"),
     (("m.tflite", "--set", "model.layout=fomo"), "don't fit model.layout = 'fomo'"),
     (("m.tflite", "--set", "model.layout=yolo99"), "no layout 'yolo99'; the layouts are"),
     ((".",), "it is a folder, not a file")],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    tmp_path: Path, run, arguments: tuple[str, ...], expected: str
) -> None:
    found_model(tmp_path)
    result = run(*arguments)
    assert result.exception is not None
    assert expected in str(result.exception)


def test_out_without_a_picture_is_wrong_usage(tmp_path: Path, run) -> None:
    assert run(found_model(tmp_path), "--out", "x.png").exit_code == 2
