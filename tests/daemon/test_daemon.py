"""The commands as processes: exit codes, output, messages and files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import pytest

from tests.support.browser import browser
from tests.support.commands import edge
from tests.support.films import start_of

EDGE = [sys.executable, "-m", "edge.cli"]
ROOT = Path(__file__).resolve().parents[2]


def own_process(*arguments: object, timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
    command = [*EDGE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd="/tmp")


def wait_for_endpoint(folder: Path) -> None:
    """Waits until a daemon with `run_options` has started to publish."""
    deadline_s = time.monotonic() + 30
    while not (folder / "e.ipc").exists():
        assert time.monotonic() < deadline_s, "no daemon has started"
        time.sleep(0.05)


def run_options(folder: Path) -> list[object]:
    return ["--capture-dir", folder / "captures", "--endpoint", f"ipc://{folder}/e.ipc"]


def test_real_footage_gives_triggers_stills_clips_and_all_messages(
    shared_data: Path, tmp_path: Path
) -> None:
    options = run_options(tmp_path)
    printed = tmp_path / "events.jsonl"  # not a pipe, which would be full before it is read
    with printed.open("w") as out:
        watching = subprocess.Popen(
            [*EDGE, "watch", "--json", "--until-stopped", "--endpoint", str(options[3])],
            stdout=out, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert watching.stderr is not None
    assert "waiting for the first message" in watching.stderr.readline()
    footage = start_of(shared_data / "vtest.avi", 400, tmp_path)
    # No clip overlaps the one before; each has 2.5 s at least, also at either end of the footage.
    # Memory for 3.5 s: on a busy machine no more than this is left to be encoded at the end.
    often = ["triggers=[{name='person', cooldown_s=6}]", "capture.pre_roll_s=3",
             "capture.post_roll_s=2.5", "capture.pre_roll_bytes=25_000_000"]  # fmt: skip
    options += [word for setting in often for word in ("--set", setting)]
    done = own_process("run", "--fast", "--source", footage, *options)
    _, summary = watching.communicate(timeout=20)
    assert done.returncode == 0, done.stderr
    assert " 0 missing" in summary
    messages = [json.loads(line) for line in printed.read_text().splitlines()]
    assert messages[-1]["state"] == "stopping"
    triggers = [m for m in messages if m["type"] == "trigger"]
    captures = [m for m in messages if m["type"] == "capture"]
    assert len(triggers) >= 5
    assert all(m["jpeg_bytes"] > 1000 for m in triggers)
    assert {m["capture"] for m in captures} == {"still", "clip"}
    sequences = [m["header"]["sequence"] for m in messages if not m["header"]["repeated"]]
    assert sequences == list(range(sequences[0], sequences[-1] + 1))
    stills = sorted((tmp_path / "captures").rglob("*.jpg"))
    assert len(stills) >= 5
    assert all(cv2.imread(str(still)).shape == (576, 768, 3) for still in stills)
    for clip in (tmp_path / "captures").rglob("*.mp4"):
        with av.open(str(clip)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 20
    sidecar = json.loads(next((tmp_path / "captures").rglob("*.json")).read_text())
    assert sidecar["events"][0]["rule"] == "person"


def test_sigterm_ends_the_daemon_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*EDGE, "run", "--source", "synthetic:walk?duration=0", *map(str, run_options(tmp_path))],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_endpoint(tmp_path)
    time.sleep(0.5)  # some frames
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert " frames, " in output


def test_changes_of_the_light_trigger_nothing(tmp_path: Path) -> None:
    for scene in ("step", "infrared", "flicker", "noise"):
        source = f"synthetic:{scene}?duration=12&fps=10"
        done = own_process("run", "--fast", "--source", source, *run_options(tmp_path))
        assert " 0 triggers" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--source", "/nowhere.mp4"], 1, "there is no such file"),
        (["--source", "synthetic:nothing"], 1, "there is no scene"),
        (["--source", "rstp://host/x"], 1, "did you mean rtsp"),
        (["--source", __file__], 1, "test_daemon.py"),
        (["--model", "persn_ssdlite_mobilenet_v2_int8"], 1, "did you mean person_ssdlite"),
        (["--model", __file__], 1, "not a TFLite model"),
        (["--config", "/nowhere.toml"], 2, "No such file"),
        (["--set", "motion.flor=1"], 2, "did you mean floor"),
        (["--set", "nonsense"], 2, "KEY=VALUE"),
        (["--capture-dir", __file__], 1, "test_daemon.py"),
        (["--unknown"], 2, "No such option"),
    ],
)
def test_a_wrong_argument_is_one_sentence_without_a_traceback(
    arguments: list[str], code: int, expected: str, tmp_path: Path
) -> None:
    base = ["--source", "synthetic:still?duration=1", *run_options(tmp_path)]
    done = edge("run", *base, *arguments)
    assert done.returncode == code, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_daemon_on_the_same_endpoint_is_refused(tmp_path: Path) -> None:
    options = list(map(str, run_options(tmp_path)))
    source = ["--source", "synthetic:still?duration=0"]
    with subprocess.Popen([*EDGE, "run", *source, *options], stdout=subprocess.DEVNULL) as first:
        wait_for_endpoint(tmp_path)
        second = own_process("run", *source, *options, timeout_s=30)
        first.terminate()
    assert second.returncode == 1
    assert "another daemon uses this address" in second.stderr


@pytest.fixture(scope="module")
def replayed(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video and a report with a picture of a trigger."""
    folder = tmp_path_factory.mktemp("replayed")
    out, report = folder / "a.mp4", folder / "r.html"
    short = ["--set", "triggers=[{name='person', cooldown_s=1}]"]
    written = ["--out", out, "--report", report]
    done = own_process("replay", shared_data / "TUD-Campus.mp4", *short, *written)
    assert done.returncode == 0, done.stderr
    return out, report


def test_replay_writes_a_video_and_a_report(replayed: tuple[Path, Path]) -> None:
    out, report = replayed
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 71
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="timeline"' in page


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_replay_into_a_path_that_cannot_be_written_is_one_sentence(
    option: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "made"
    others = ["--out", tmp_path / "a.mp4"] if option == "--report" else []
    done = edge("replay", "synthetic:still?duration=1", *others, option, target)
    assert done.returncode == 1, done.stderr
    assert f"{target} could not be written: a file of that name exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_report_opens_in_a_browser(replayed: tuple[Path, Path], tmp_path: Path) -> None:
    _, report = replayed
    with browser(tmp_path) as page:
        page.open(report.as_uri())
        assert page.run("document.querySelectorAll('svg.timeline').length") == 1
        assert page.run("document.querySelectorAll('figure').length") >= 1
        page.screenshot(tmp_path / "shot.png")
        assert page.errors == []
    assert cv2.imread(str(tmp_path / "shot.png")).std() > 5


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["models", "list"], ["config", "show"], ["config", "explain"], ["--version"]],
)
def test_commands_that_print_information(arguments: list[str]) -> None:
    done = own_process(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_doctor_reports_a_missing_source_and_accepts_a_good_one(tmp_path: Path) -> None:
    common = ["--set", f"capture.directory={tmp_path}", "--set", "capture.min_free_bytes=0"]
    good = edge("doctor", "--set", "source.uri=synthetic:still", *common)
    bad = edge("doctor", "--json", "--set", "source.uri=/nowhere.mp4", *common)
    assert good.returncode == 0, good.stdout
    assert bad.returncode == 1
    assert [f["name"] for f in json.loads(bad.stdout) if f["state"] == "fail"] == ["source"]
