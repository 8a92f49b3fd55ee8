"""`edge init` as a new user runs it: by options, by questions on a terminal, with a trial."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge.commands import init as init_module
from edge.config.load import load
from edge.config.schema import DEFAULT_MODEL
from edge.config.starter import MANY_CLASSES, Answers, model_for, starter
from tests.support import tflite
from tests.support.commands import edge

EDGE = [sys.executable, "-m", "edge.cli", "init"]
QUICK = ["--no-doctor", "--no-trial"]


def edge_init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return edge("init", *arguments, folder=folder)


def test_options_end_up_in_a_short_file_that_loads(tmp_path: Path) -> None:
    done = edge_init(tmp_path, "--source", "rtsp://cam/1", "--watch-for", "people", "--camera",
                     "door", "--captures", "/var/lib/edge", *QUICK)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "this is no terminal: the proposed answers are used\n"
    settings = load(tmp_path / "edge.toml")
    assert (settings.camera, settings.source.uri) == ("door", "rtsp://cam/1")
    assert settings.capture.directory == "/var/lib/edge"
    assert settings.bus.endpoint == "ipc:///tmp/edge-door.ipc"
    assert [(rule.name, rule.labels) for rule in settings.triggers] == [("people", ("person",))]
    written = (tmp_path / "edge.toml").read_text()
    assert len(written.splitlines()) <= 22
    assert "edge config show --commented" in written


def test_each_object_becomes_a_rule() -> None:
    answers = Answers("x", ("people", "animals", "cat, dog", "person,potted plant,cat"))
    rules = {rule["name"]: rule["labels"] for rule in tomllib.loads(starter(answers))["triggers"]}
    assert rules == {
        "people": ["person"],
        "animals": ["animal"],
        "cat": ["cat"],
        "dog": ["dog"],
        "person": ["person"],
        "potted-plant": ["potted plant"],
    }
    assert model_for(answers) == MANY_CLASSES
    assert model_for(Answers("x")) == DEFAULT_MODEL


def test_quotes_and_backslashes_survive(tmp_path: Path) -> None:
    text = starter(Answers('a"b\\c', captures="d'e ü"))
    document = tomllib.loads(text)
    assert document["source"]["uri"] == 'a"b\\c'
    assert document["capture"]["directory"] == "d'e ü"


@contextmanager
def on_a_terminal(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The program and the end of the terminal at which a person types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*EDGE, *QUICK, *options], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd=folder,
    )  # fmt: skip
    try:
        yield process, ours
    finally:
        process.kill()
        process.communicate()
        os.close(theirs)
        os.close(ours)


def answered(folder: Path, *answers: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and output after these lines."""
    with on_a_terminal(folder, *options) as (process, terminal):
        os.write(terminal, "".join(f"{answer}\n" for answer in answers).encode())
        shown, _ = process.communicate(timeout=40)
    return process.returncode, shown


def test_each_wrong_answer_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    code, shown = answered(
        tmp_path, "sinthetic:walk", "v4l2:/dev/video99", "gone.mp4", "synthetic:walk", "7",
        "nothing", "2", "cta", "people cat", ",", "cat, animals", "/etc/passwd/x", f"{tmp_path}/c",
        "my porch", "porch",
    )  # fmt: skip
    assert code == 0, shown
    _, *reasons = shown.split("Error: ")
    for reason, expected in zip(
        reasons,
        ["did you mean synthetic:?", "there is no device /dev/video99", "there is no such file",
         "7 found, expected a number from 1 to 2", "neither a file nor a known model",
         "no label 'cta'; did you mean cat?", "no label 'people cat'", "name one object or more",
         "/etc/passwd: not writable; choose another folder", "expected a name of letters"],
        strict=True,
    ):  # fmt: skip
        assert expected in reason
        assert "command line" not in reason
    settings = load(tmp_path / "edge.toml")
    assert (settings.source.uri, settings.camera) == ("synthetic:walk", "porch")
    assert settings.model.file == MANY_CLASSES
    assert [rule.labels for rule in settings.triggers] == [("cat",), ("animal",)]


def test_return_takes_the_proposal_and_an_option_asks_nothing(tmp_path: Path) -> None:
    code, shown = answered(tmp_path, "", "", "", "", options=("--source", "synthetic:walk"))
    assert code == 0, shown
    for question in ("Number of a model", "Folder for captures", "Name of this camera"):
        assert question in shown
    assert "stream or file" not in shown
    assert "Objects to watch for" not in shown, "the default model has one label only"
    settings = load(tmp_path / "edge.toml")
    assert (settings.model.file, settings.camera) == (DEFAULT_MODEL, "cam0")
    assert settings.triggers[0].labels == ("person",)


def test_a_wrong_option_is_reported_before_anything_is_asked(tmp_path: Path) -> None:
    code, shown = answered(tmp_path, options=("--watch-for", "cta"))
    assert code == 2
    assert shown == (f"edge: the model {MANY_CLASSES} has no label 'cta'; did you mean cat?\n")


def test_the_labels_of_an_own_model_are_offered(tmp_path: Path) -> None:
    table = np.zeros((1, 300, 6), np.float32)
    model = tflite.constant_model([table])
    tflite.saved(tmp_path / "m.tflite", model, ["wombat", "numbat"])
    options = ("--source", "synthetic:walk", "--model", f"{tmp_path}/m.tflite")
    code, shown = answered(tmp_path, "people", "numbat", "", "", options=options)
    assert code == 0, shown
    assert "a rule for each [wombat]" in shown
    assert "has no label 'person'" in shown
    assert load(tmp_path / "edge.toml").triggers[0].labels == ("numbat",)


@pytest.mark.parametrize("ending", ["\x04", "Ctrl-C"])
def test_an_end_of_the_questions_writes_nothing(tmp_path: Path, ending: str) -> None:
    with on_a_terminal(tmp_path) as (process, terminal):
        os.write(terminal, b"synthetic:walk\n")
        assert process.stdout is not None
        shown = ""
        while "another name or file" not in shown:  # the second question
            shown += process.stdout.read(1)
        time.sleep(0.3)  # it prints the question, then it reads
        if ending == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, ending.encode())
        shown, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert shown.endswith("\nedge: stopped: nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_without_standard_input_the_proposals_are_used(tmp_path: Path) -> None:
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *EDGE, *QUICK, "--source", "synthetic:walk"]
    done = subprocess.run(closed, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "edge.toml").source.uri == "synthetic:walk"


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
        (["--watch-for", ","], "name one object or more"),
        (["--model", "nothing"], "nothing is neither a file nor a known model"),
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
