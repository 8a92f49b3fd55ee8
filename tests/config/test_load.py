"""Configuration: every problem at once, with its place."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.config.explain import explain
from edge.config.load import load
from edge.config.schema import LOOKS_KEPT, Settings
from edge.errors import ConfigError
from edge.vision.build import check_labels


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


def test_five_problems_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
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
    assert problems(tmp_path, text) == [
        'edge.toml:1: camera: "a b" found, expected a name of letters, digits, _ and -',
        "edge.toml:3: motion.flor: unknown key; did you mean floor?",
        'edge.toml:4: motion.floor: "x" found, expected a number from 1 to 255',
        'edge.toml:7: triggers[0].labels: "person" found, expected a list of strings',
        "edge.toml:9: model.threads: 99 found, expected a whole number from 1 to 16",
    ]


SQUARE = "polygon = [[0,0],[1,0],[1,1]]"
RULE = '[[triggers]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{RULE}zones = ["paht"]\n[[zones]]\nname = "path"\n{SQUARE}',
         "edge.toml:3: triggers[0].zones: there is no zone 'paht'; did you mean path?"),
        (f'{RULE}zones = ["path"]',
         "edge.toml:3: triggers[0].zones: there is no zone 'path'; add it as a [[zones]] section"),
        (RULE + RULE, "edge.toml:4: triggers[1].name: the name 'a' is used twice"),
        (f'[[zones]]\nname = "z"\n{SQUARE}\n[[zones]]\n{SQUARE}\nname = "z"\n',
         "edge.toml:6: zones[1].name: the name 'z' is used twice"),
        (f"{RULE}confirm = 4", "edge.toml:3: triggers[0].confirm: 4 exceeds of_last = 3"),
        (f"{RULE}of_last = {LOOKS_KEPT + 1}",
         "edge.toml:3: triggers[0].of_last: 17 found, expected a whole number from 1 to 16"),
        (f"{RULE}min_height = 0.9\nmax_height = 0.1",
         "edge.toml:3: triggers[0].min_height: 0.9 exceeds max_height = 0.1"),
        (f'{RULE}schedule = ["8-9"]',
         'edge.toml:3: triggers[0].schedule[0]: ["8-9"] found, expected a list of FROM-TO, '
         "such as 20:00-sunrise"),
        ('[[triggers]]\nlabels = ["person"]', "edge.toml:1: triggers[0]: the key name is missing"),
        (f"{RULE}gpio = 4\n[hooks]\ninput_gpio = 4",
         "edge.toml:5: hooks.input_gpio: a trigger pulses that line"),
        ("[hooks]\ninput_captures = []",
         "edge.toml:2: hooks.input_captures: [] found, expected a non-empty list of clip, still"),
        ('[bus]\nendpoint = "tcp://*:5555"', "or bus.insecure = true to allow this"),
        ('[bus]\nendpoint = "udp://x"',
         'edge.toml:2: bus.endpoint: "udp://x" found, expected ipc://PATH or tcp://HOST:PORT'),
        ('[bus]\nendpoint = "ipc://a"\ncontrol = "ipc://a"',
         "edge.toml:3: bus.control: it equals bus.endpoint"),
        ("[capture]\nmax_clip_s = 2",
         "edge.toml:2: capture.max_clip_s: 2 s is shorter than pre_roll_s and post_roll_s together "
         "(8 s)"),
        ('[mqtt]\nkey_file = "k"',
         "edge.toml:2: mqtt.key_file: it has no effect without cert_file"),
        ("[motion]\nmasks = [[[0, 0], [1, 0], [2, 1]]]",
         "edge.toml:2: motion.masks[0][2][0]: [[[0, 0], [1, 0], [2, 1]]] found, expected a list of "
         "polygons of 3 to 100 [x, y] with x and y from 0 to 1"),
        ("motion = 3", "edge.toml:1: motion: 3 found, expected a section [motion]"),
        ("zones = 3", "edge.toml:1: zones: 3 found, expected [[zones]] sections"),
        ("triggers = [3]", "edge.toml:1: triggers[0]: 3 found, expected a section [[triggers]]"),
        (f"{RULE}qqq = 1", "unknown key; `edge config explain triggers[]` lists the known ones"),
        ("qqq = 1", "edge.toml:1: qqq: unknown key; `edge config explain` lists the known ones"),
        ("a = [", "edge.toml:1: not valid TOML: a: write commas between the values of the list"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (reported,) = problems(tmp_path, text)
    assert problem in reported


def test_wrong_statements_are_reported_together_with_problems_of_the_others(tmp_path: Path) -> None:
    text = """camera = cam0
[motion]
floor = 1,5
sensitivity = 99
[capture
pre_roll_s = "skipped with its section"
[[triggers]]
name = "a
labels = ["person"
flor = 3
[[zones]]
name = "z"
polygon = [[0 0],
  [1, 0],
  [1, 1]]
hello
[source]
loop = True
uri = "C:\\x"
fps = 5
fps = 6
[source]
[[zones]]
polygon = 3
"""
    wrong = "edge.toml:{}: not valid TOML: {}"
    list_ = "write commas between the values of the list, and close it with ]"
    assert problems(tmp_path, text.replace("\\\\", "\\")) == [
        wrong.format(1, 'camera: put the text into quotation marks: "…"'),
        wrong.format(3, "floor: write a point, not a comma, in a number"),
        wrong.format(5, "close the name of the section, as in [motion] or [[triggers]]"),
        wrong.format(8, "name: close the text with a quotation mark"),
        wrong.format(9, f"labels: {list_}"),
        wrong.format(13, f"polygon: {list_}"),
        wrong.format(16, "write KEY = VALUE"),
        wrong.format(18, "loop: write true and false in small letters"),
        wrong.format(19, "uri: write a backslash as two, or put the text into single quotation "
                         "marks"),
        wrong.format(21, "fps: this key is there twice; remove one of the two"),
        wrong.format(22, "this section is there already; put all its keys into one"),
        "edge.toml:4: motion.sensitivity: 99 found, expected a number from 0.05 to 10",
        "edge.toml:10: triggers[0].flor: unknown key; "
        "`edge config explain triggers[]` lists the known ones",
        "edge.toml:24: zones[1].polygon: 3 found, expected a polygon of 3 to 100 [x, y] with x and "
        "y from 0 to 1",
    ]  # fmt: skip


def test_a_wrong_statement_causes_no_further_problem(tmp_path: Path) -> None:
    """The name and the zone are in the file, although they can't be read."""
    text = 'camera = "a\n[[zones]]\nname = z\n[[triggers]]\nname = "b"\nzones = ["z"]\n'
    assert [problem.split(":")[1] for problem in problems(tmp_path, text)] == ["1", "3"]


@pytest.mark.parametrize("line", ["k = [1,", "k = 1\n", '"""', "[a]\n", "=", "k = [[0, 0]\n"])
def test_a_text_full_of_errors_is_refused_soon(tmp_path: Path, line: str) -> None:
    begin_s = time.monotonic()
    found = problems(tmp_path, line * (15_000 // len(line)))
    assert time.monotonic() - begin_s < 3
    assert 1 <= len(found) <= 51


def test_a_fallback_gives_way_to_the_file_and_to_the_command_line(tmp_path: Path) -> None:
    path, own = written(tmp_path, "[motion]\nfloor = 14.0"), {"motion.floor": 20.0}
    assert load(path, None, own).motion.floor == 14.0  # the default, but set
    assert load(path, {"motion.floor": 30.0}, own).motion.floor == 30.0
    assert load(written(tmp_path, ""), None, own).motion.floor == 20.0


def test_a_rule_may_look_back_as_far_as_a_track_remembers(tmp_path: Path) -> None:
    text = f"{RULE}confirm = {LOOKS_KEPT}\nof_last = {LOOKS_KEPT}"
    assert load(written(tmp_path, text)).triggers[0].of_last == LOOKS_KEPT


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent.toml")


def test_overrides_are_checked_like_the_file_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, "[motion]\nfloor = 20")
    assert load(path, {"motion.floor": "30.5"}).motion.floor == 30.5
    assert load(path, {"source.uri": "a.mp4"}).source.uri == "a.mp4"
    assert problems(tmp_path, "", motion__floor="no") == [
        'command line: motion.floor: "no" found, expected a number from 1 to 255'
    ]
    assert problems(tmp_path, "", motion__masks="[[[0, 0], [1, 0], [2, 1]]]")[0].startswith(
        "command line: motion.masks[0][2][0]: "
    )
    assert problems(tmp_path, "zones = []", zones__name="a") == [
        "command line: zones.name: zones is not a section; change it in a file instead"
    ]


def test_labels_the_model_does_not_have(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[[triggers]]\nname = "a"\nlabels = ["persn"]'))
    (problem,) = check_labels(settings, ["person", "dog"])
    assert "did you mean person?" in problem
    assert check_labels(Settings(), ["person"]) == []


def test_loading_imports_nothing_that_only_explains_or_edits() -> None:
    script = "import sys, edge.config.load; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = {
        name
        for name in done.stdout.split()
        if name.startswith(("edge.config", "tomlkit")) and "edge.config.schema." not in name
    }
    needed = {
        "edge.config",
        *(f"edge.config.{n}" for n in ("load", "schema", "checks", "dropins", "masking", "words")),
    }
    assert loaded == needed


@pytest.mark.parametrize(
    "key",
    ["capture.directory", "bus.keys", "model.file", "mqtt.spool", "mqtt.password_file",
     "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file"],
)  # fmt: skip
def test_a_path_may_begin_with_the_home_folder(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/captures` once made a folder with the name `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    section, _, name = key.partition(".")
    context = {"mqtt.tls": True, "mqtt.username": "u", "mqtt.cert_file": "c"}
    for value in ("~/there", "~"):
        settings = load(None, context | {key: value})
        assert getattr(getattr(settings, section), name) == str(Path(value).expanduser())
    assert getattr(getattr(load(None, context | {key: "a/b"}), section), name) == "a/b"


def test_every_key_that_names_a_file_or_folder_is_a_path() -> None:
    named = re.compile(r"\b(file|folder|key|certificate)\b")
    rows = {row.key: row for row in explain() if row.key.endswith(("_file", ".file", "directory"))}
    assert len(rows) >= 6
    assert {key: row.type for key, row in rows.items() if "path" not in row.type} == {}
    assert all(named.search(row.description) or "path" in row.description for row in rows.values())


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'camera = "cam7"\n[motion]\nflor = 1\n')
    with pytest.raises(ConfigError, match=r"edge\.toml:3: motion\.flor"):
        load(path)
    path.write_bytes(b"\xef\xbb\xbf" + b'camera = "cam7"\n')
    assert load(path).camera == "cam7"
