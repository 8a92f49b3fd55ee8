"""Configuration: every problem at once, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.load import KeyDoc, commented, explain, load, markdown, to_toml
from edge.config.schema import Settings
from edge.errors import ConfigError
from edge.vision.build import check_labels

ROOT = Path(__file__).resolve().parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str, **overrides: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), {k.replace("__", "."): v for k, v in overrides.items()})
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Settings()


def test_five_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """camera = "a b"
[motion]
flor = 3
floor = "x"
[[triggers]]
name = "visitor"
labels = "person"
[model]
threads = 99
"""
    told = problems(tmp_path, text)
    assert [problem.split(":")[1] for problem in told] == ["1", "3", "4", "7", "9"]
    assert "unknown key; did you mean floor?" in told[1]
    assert "number at least 1 and at most 255 expected" in told[2]
    assert "triggers[0].labels" in told[3]
    assert "99 found, whole number at least 1 and at most 16 expected" in told[4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[triggers]]\nname = "a"\nzones = ["paht"]\n[[zones]]\nname = "path"\n'
         "polygon = [[0,0],[1,0],[1,1]]", "no zone 'paht'; did you mean path?"),
        ('[[triggers]]\nname = "a"\n[[triggers]]\nname = "a"', "edge.toml:4: triggers[1].name"),
        ('[[triggers]]\nname = "a"\nconfirm = 4', "edge.toml:3: triggers[0].confirm"),
        ('[[triggers]]\nname = "a"\nmin_height = 0.9\nmax_height = 0.1', "exceeds max_height"),
        ('[[triggers]]\nlabels = ["person"]', "the key name is missing"),
        ('[bus]\nendpoint = "tcp://*:5555"', "insecure = true"),
        ("[capture]\nmax_clip_s = 2", "shorter than pre_roll_s and post_roll_s"),
        ('[source]\nuri = "v4l2:/dev/video0"\nupside_down = true', "only a picamera2 camera"),
        ("motion = 3", "a section is expected"),
        ("a = [", "not valid TOML"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(problems(tmp_path, text))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent.toml")


def test_overrides_are_checked_like_the_file_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, "[motion]\nfloor = 20")
    assert load(path, {"motion.floor": "30.5"}).motion.floor == 30.5
    assert load(path, {"source.uri": "a.mp4"}).source.uri == "a.mp4"
    assert problems(tmp_path, "", motion__floor="no") == [
        'command line: motion.floor: "no" found, number at least 1 and at most 255 expected'
    ]


def test_what_is_shown_loads_to_the_same(tmp_path: Path) -> None:
    text = '[[zones]]\nname = "z"\npolygon = [[0,0],[1,0],[1,1]]\n[[triggers]]\nname = "a"\n'
    settings = load(written(tmp_path, text + 'zones = ["z"]\nlabels = ["a \\"b\\"", "ü"]'))
    assert load(written(tmp_path, to_toml(settings))) == settings
    assert load(written(tmp_path, to_toml(Settings()))) == Settings()


def test_labels_the_model_does_not_have(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[[triggers]]\nname = "a"\nlabels = ["persn"]'))
    (problem,) = check_labels(settings, ["person", "dog"])
    assert "did you mean person?" in problem
    assert check_labels(Settings(), ["person"]) == []


def test_every_key_is_explained() -> None:
    rows = explain()
    assert all(isinstance(row, KeyDoc) and row.description and row.type for row in rows)
    assert {"motion.floor", "triggers[].cooldown_s", "camera"} <= {row.key for row in rows}


def test_the_commented_file_has_every_key_and_its_default(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") if not line.startswith("# ") else line
             for line in commented().splitlines()]  # fmt: skip
    settings = load(written(tmp_path, "\n".join(lines)))
    assert settings.motion == Settings().motion
    assert [zone.name for zone in settings.zones] == ["path"]
    assert load(written(tmp_path, commented())) == Settings()


def test_generated_files_are_up_to_date() -> None:
    assert (ROOT / "systemd" / "edge.toml").read_text() == commented(), "make schemas"
    assert markdown() in (ROOT / "docs" / "configuration.md").read_text(), "make schemas"
