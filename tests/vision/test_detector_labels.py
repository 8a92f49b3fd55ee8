"""Lists of labels as exporters write them, where they lie, and groups of them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.schema import ModelSettings
from edge.errors import ModelError
from edge.vision.detector import Detector
from edge.vision.detector.groups import groups_of
from edge.vision.detector.labels import NAMELESS, fitted, parsed
from tests.support import tflite
from tests.support.metadata import tflite_metadata


def labels(text: str, classes: int | None) -> tuple[str, ...]:
    return fitted(parsed(text.encode(), "a file"), classes)[0]


@pytest.mark.parametrize(
    ("text", "classes", "expected"),
    [
        ("person\ncar\n", 2, "person car"),
        ("person\r\ncar", None, "person car"),
        ("\ufeffperson\ncar", 2, "person car"),
        ("???\nperson\ncar", 2, "person car"),
        ("background\nperson\ncar\n", 2, "person car"),
        ("__background__\nperson\ncar\n", None, "person car"),
        ("???\nperson\ncar", 3, "??? person car"),  # the graph counts the first as a class
        ("0  person\n1  car", 2, "person car"),
        ("0: person\n1: car\n", 2, "person car"),
        ("0 person\n1 bicycle\n4 traffic light", 5, "person bicycle ??? ??? traffic_light"),
        ("1 person\n2 car", 2, "person car"),  # numbers that count the background
        ("0,person\n2,car\n", 3, "person ??? car"),
        ("person\n\ncar", 3, "person ??? car"),  # an empty line is a class without a name
        ("person\n\ncar\n\n\n", 2, "person car"),  # unless the number of classes says otherwise
        ("\nperson\ncar", 2, "person car"),
        ("person\n???\n???\ncar", 4, "person ??? ??? car"),
        ("4 wheeler\ncar", 2, "4_wheeler car"),
    ],
)  # fmt: skip
def test_lists_as_exporters_write_them(text: str, classes: int | None, expected: str) -> None:
    assert labels(text, classes) == tuple(word.replace("_", " ") if word[0] != "_" else word
                                          for word in expected.split())  # fmt: skip


@given(st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1, max_size=50))
def test_any_list_of_names_is_read_back(names: list[str]) -> None:
    names = [f"x{name}" for name in names]
    assert labels("".join(f"{name}\n" for name in names), len(names)) == tuple(names)
    numbered = "".join(f"{number}  {name}\n" for number, name in enumerate(names))
    assert labels(numbered, len(names)) == tuple(names)
    assert labels("???\n" + "\n".join(names), len(names)) == tuple(names)


@pytest.mark.parametrize(("count", "classes"), [(80, 90), (90, 80), (3, 1)])
def test_a_mismatch_is_a_warning_that_names_both_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int, classes: int
) -> None:
    model = tflite.constant_model([np.zeros((1, 4 + classes, 2100), np.float32)])
    path = tflite.saved(tmp_path / "m.tflite", model, [f"thing{n}" for n in range(count)])
    with caplog.at_level(logging.WARNING):
        one = Detector(ModelSettings(), path)
    (warning,) = one.warnings
    assert f"has {count} labels, but the model has {classes} classes" in warning
    assert warning in caplog.messages
    assert len(one.labels) == classes
    assert one.labels[-1] == (f"class {classes - 1}" if count < classes else f"thing{classes - 1}")


@pytest.mark.parametrize(
    "text", ["", "\n\n", "a\x1b[31m\nb", "[/x]\0\nb", "x\n" * 10_001, b"\xff\xfe"]
)
def test_bad_lists_are_refused(tmp_path: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ModelError, match="labels in a file"):
        parsed(content, "a file")


END_TO_END = np.zeros((1, 300, 6), np.float32)


@pytest.mark.parametrize("name", ["m.labels.txt", "m.txt", "labels.txt", "labelmap.txt"])
def test_labels_beside_the_file(tmp_path: Path, name: str) -> None:
    path = tflite.saved(tmp_path / "m.tflite", tflite.constant_model([END_TO_END]))
    with pytest.raises(ModelError, match=r"m\.tflite: it has no labels: write .*NAME\.txt"):
        Detector(ModelSettings(), path)
    (tmp_path / name).write_text("wolf\nbear\n")
    assert Detector(ModelSettings(), path).labels == ("wolf", "bear")


def test_labels_from_metadata_before_others_and_the_setting_before_all(tmp_path: Path) -> None:
    metadata = {"TFLITE_METADATA": tflite_metadata(labels="objects.txt")}
    model = tflite.with_members(
        tflite.constant_model([END_TO_END], metadata=metadata),
        a_txt="wrong", de_txt="Wolf", objects_txt="wolf",
    )  # fmt: skip
    path = tflite.saved(tmp_path / "m.tflite", model, ["beside"])
    assert Detector(ModelSettings(), path).labels == ("wolf",)
    (tmp_path / "mine.txt").write_text("dire wolf\n")
    mine = ModelSettings(labels_file=str(tmp_path / "mine.txt"))
    assert Detector(mine, path).labels == ("dire wolf",)
    with pytest.raises(ModelError, match=r"m\.tflite: labels .*absent\.txt: there is no such file"):
        Detector(ModelSettings(labels_file=str(tmp_path / "absent.txt")), path)


def test_a_class_without_a_name_is_not_reported(tmp_path: Path) -> None:
    table = END_TO_END.copy()
    table[0, :3] = [[0.1, 0.1, 0.3, 0.3, 0.9, 0], [0.5, 0.5, 0.7, 0.7, 0.9, 1],
                    [0.1, 0.5, 0.3, 0.7, 0.9, 7]]  # fmt: skip
    path = tflite.saved(tmp_path / "m.tflite", tflite.constant_model([table]))
    (tmp_path / "m.txt").write_text("0 wolf\n2 bear\n")
    one = Detector(ModelSettings(), path)
    assert one.labels == ("wolf", NAMELESS, "bear")
    assert one.detect(np.zeros((320, 320, 3), np.uint8)).class_ids.tolist() == [0]


def test_groups_are_those_of_the_file_or_the_known_ones(tmp_path: Path) -> None:
    assert groups_of(("person", "Dog", "car", "stone")) == ("", "animal", "vehicle", "")
    model = tflite.with_members(
        tflite.constant_model([END_TO_END]), labels_txt="wolf\nrock\n",
        groups_json='{"canid": ["wolf"]}',
    )  # fmt: skip
    one = Detector(ModelSettings(), tflite.saved(tmp_path / "m.tflite", model))
    assert one.groups == ("canid", "")


def test_two_labels_of_a_group_on_one_object_are_one_detection(tmp_path: Path) -> None:
    """A deer that is a sheep and a bear to a model that knows no deer."""
    table = END_TO_END.copy()
    table[0, :3] = [[0.1, 0.1, 0.5, 0.5, 0.6, 0], [0.11, 0.1, 0.5, 0.5, 0.7, 1],
                    [0.1, 0.1, 0.5, 0.5, 0.8, 2]]  # fmt: skip
    path = tflite.saved(
        tmp_path / "m.tflite", tflite.constant_model([table]), ["sheep", "bear", "person"]
    )
    one = Detector(ModelSettings(), path)
    assert one.detect(np.zeros((320, 320, 3), np.uint8)).class_ids.tolist() == [2, 1]
