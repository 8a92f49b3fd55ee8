"""`edge init` as a new user runs it: by options, by questions on a terminal, with a trial."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.commands import init as init_module
from edge.config.explain import commented
from edge.config.load import load
from edge.config.schema import DEFAULT_MODEL
from edge.config.starter import Answers, likely_source, model_for, starter

EDGE = [sys.executable, "-m", "edge.cli", "init"]
QUICK = ["--no-doctor", "--no-trial"]


def edge_init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGE, *arguments], capture_output=True, text=True, timeout=60, cwd=folder,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_options_end_up_in_a_commented_file_that_loads(tmp_path: Path) -> None:
    done = edge_init(tmp_path, "--source", "rtsp://cam/1", "--watch-for", "people", "--camera",
                     "door", "--captures", "/var/lib/edge", *QUICK)  # fmt: skip
    assert done.returncode == 0, done.stderr
    settings = load(tmp_path / "edge.toml")
    assert (settings.camera, settings.source.uri) == ("door", "rtsp://cam/1")
    assert settings.capture.directory == "/var/lib/edge"
    assert settings.bus.endpoint == "ipc:///tmp/edge-door.ipc"
    assert [(rule.name, rule.labels) for rule in settings.triggers] == [("people", ("person",))]
    comments = [line for line in commented().splitlines() if line.startswith("# ")]
    written = (tmp_path / "edge.toml").read_text().splitlines()
    assert [line for line in written if line.startswith("# ")] == comments


def test_each_watch_for_becomes_a_rule() -> None:
    answers = Answers("x", ("people", "animals", "cat, dog", "person,vehicles"))
    rules = tomllib.loads(starter(answers))["triggers"]
    assert [rule["name"] for rule in rules] == ["people", "animals", "cat-dog", "person-vehicles"]
    assert rules[2]["labels"] == ["cat", "dog"]
    assert rules[1]["labels"] == ["animal"]
    assert rules[3]["labels"] == ["person", "vehicle"]
    assert model_for(answers) == "coco_ssdlite_mobilenet_v3_large_int8"
    assert model_for(Answers("x")) == DEFAULT_MODEL


def test_quotes_and_backslashes_survive(tmp_path: Path) -> None:
    text = starter(Answers('a"b\\c', captures="d'e ü"))
    document = tomllib.loads(text)
    assert document["source"]["uri"] == 'a"b\\c'
    assert document["capture"]["directory"] == "d'e ü"


def test_questions_on_a_terminal_and_return_takes_the_proposal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*EDGE, *QUICK], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=tmp_path,
    )  # fmt: skip
    os.write(ours, b"synthetic:walk\n\n/tmp/c\nporch\n")
    shown, _ = process.communicate(timeout=20)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 0, shown
    for question in ("Which camera", "What to watch for", "Where do captures go", "called?"):
        assert question in shown
    settings = load(tmp_path / "edge.toml")
    assert (settings.source.uri, settings.camera) == ("synthetic:walk", "porch")
    assert settings.triggers[0].labels == ("person",)


def test_the_system_is_checked_and_the_configuration_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init_module, "TRIAL_S", 3.0)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        init_module.init,
        ["--yes", "--source", "synthetic:visits?duration=0", "--camera", tmp_path.name, "--trial"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    assert "how to fix it" in done.output
    assert re.search(r"^ *source +ok", done.output, re.MULTILINE)
    assert "walk through the picture" in done.output
    assert "trigger people: person" in done.output
    assert "to run it: edge run -c edge.toml" in done.output
    assert list((tmp_path / "captures").rglob("*.jpg"))


def test_a_failed_check_must_be_fixed_first(tmp_path: Path) -> None:
    done = edge_init(tmp_path, "--yes", "--source", "/nowhere.mp4", "--trial")
    assert done.returncode == 1
    assert "fail" in done.stdout
    assert "fix the failed checks" in done.stdout
    assert "walk through the picture" not in done.stdout
    assert (tmp_path / "edge.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["there.toml"], "choose another name, or replace it with --force"),
        (["--camera", "a b"], "name of letters"),
        (["--watch-for", "cat", "--model", DEFAULT_MODEL], "no label 'cat'"),
        (["/nowhere/edge.toml"], "/nowhere/edge.toml could not be written"),
        (["/etc/passwd/edge.toml"], "/etc/passwd/edge.toml could not be written"),
        (["/proc/edge.toml"], "/proc/edge.toml could not be written"),
    ],
)
def test_an_error_is_one_sentence_and_writes_nothing(
    arguments: list[str], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "there.toml").write_text("x")
    done = edge_init(tmp_path, *arguments, "-y", *QUICK)
    assert done.returncode
    assert problem in done.stderr
    assert "capture.directory" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.toml"]
    assert (tmp_path / "there.toml").read_text() == "x"


def test_a_connected_camera_is_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)  # no picamera2
    assert likely_source(tmp_path) == "synthetic:people"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video2").touch()
    assert likely_source(tmp_path) == "v4l2:/dev/video2"
