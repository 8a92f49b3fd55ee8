"""The commands find the installed instance, a missing daemon and a missing permission at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.bus.presence import listens
from edge.capture.sidecar import EventEntry, FileEntry, Sidecar
from edge.cli import commands
from edge.config import instances
from edge.config.instances import find
from edge.config.schema import Settings
from edge.errors import BusError, ConfigError

EDGE = [sys.executable, "-m", "edge.cli"]


def edge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "EDGE_CONFIG"}
    return subprocess.run(
        [*EDGE, *arguments], capture_output=True, text=True, timeout=30, cwd=folder, env=environment
    )  # fmt: skip


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "cam0.toml").touch()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("EDGE_CONFIG", raising=False)
    monkeypatch.setattr(instances, "INSTALLED", folder)
    return folder


def test_one_instance_is_used_and_several_are_named(installed: Path) -> None:
    assert find() == installed / "cam0.toml"
    (installed / "cam1.toml").touch()
    with pytest.raises(ConfigError, match=r"cam0, cam1.*--camera cam0"):
        find()
    assert find("cam1") == installed / "cam1.toml"
    with pytest.raises(ConfigError, match="installed: cam0, cam1"):
        find("cam2")


def test_the_working_folder_wins_over_instances_but_not_over_a_name(installed: Path) -> None:
    Path("edge.toml").touch()
    assert find() == Path("edge.toml")
    assert find("cam0") == installed / "cam0.toml"


def test_no_daemon_is_reported_at_once_and_without_keys(tmp_path: Path) -> None:
    for kind in ("nothing", "left"):
        path = tmp_path / kind
        if kind == "left":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        begin_s = time.monotonic()
        done = edge(tmp_path, "ctl", "status", "--endpoint", f"ipc://{path}")
        assert time.monotonic() - begin_s < 5, "the limit of a reply is 10 s"
        assert done.returncode == 1
        assert done.stderr.startswith(f"edge: no daemon listens at ipc://{path}")
        assert "key" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: permissions of another user")
def test_a_missing_permission_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()
        os.chown(path, 0, 4)  # the group adm
        path.chmod(0o660)
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(BusError, match="permission denied"):
                listens(f"ipc://{path}")
        finally:
            os.seteuid(0)


def test_watch_reports_that_it_waits(tmp_path: Path) -> None:
    done = edge(tmp_path, "watch", "--timeout", "0.1", "--endpoint", f"ipc://{tmp_path}/x")
    assert "waiting for the first message of" in done.stderr
    assert "no daemon listens there yet" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("wacth",), "no such command 'wacth'; did you mean watch?"),
        (("qqqq",), "no such command 'qqqq'; edge --help lists them"),
        (("config", "explain", "motion.flor"), "did you mean motion.floor?"),
        (("config", "explain", "flor"), "did you mean floor?"),
    ],
)
def test_an_unknown_name_is_answered_with_a_known_one(
    arguments: tuple[str, ...], problem: str
) -> None:
    done = CliRunner().invoke(commands, arguments, prog_name="edge")
    assert (done.exit_code, problem in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("words", "key"),
    [("cooldown", "triggers[].cooldown_s"), ("minimum time", "triggers[].cooldown_s"),
     ("COOLDOWN_S", "triggers[].cooldown_s"), ("broker", "mqtt.host")],
)  # fmt: skip
def test_a_key_is_found_by_a_part_of_it_or_by_its_description(words: str, key: str) -> None:
    done = CliRunner().invoke(commands, ["config", "explain", *words.split()])
    assert key in done.output


def test_check_config_names_the_files_that_it_read(installed: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(commands, ["check-config"]).output.startswith(f"{installed}/cam0.toml: ")
    (installed / "cam0.d").mkdir()
    (installed / "cam0.d" / "site.toml").write_text("[model]\nfile = 'nothing'\n[motion\n")
    with pytest.raises(ConfigError) as caught:
        runner.invoke(commands, ["check-config"], standalone_mode=False, catch_exceptions=False)
    files = f"{installed}/cam0.toml, {installed}/cam0.d/site.toml"
    assert caught.value.problems[-1] == f"{files}: 1 problem"
    (installed / "cam0.d" / "site.toml").write_text(
        "[model]\nfile = 'nothing'\n[source]\nuri = 'x.mp4'\nfocus_m = 2"
    )
    with pytest.raises(ConfigError) as caught:
        runner.invoke(commands, ["check-config"], standalone_mode=False, catch_exceptions=False)
    assert len(caught.value.problems) == 3, "the source and the model, and their number"


def test_check_config_says_that_it_read_no_file(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed / "cam0.toml").unlink()
    monkeypatch.setattr("edge.config.load.SEARCHED", (Path("edge.toml"),))
    done = CliRunner().invoke(commands, ["check-config"])
    assert done.output == (
        "no file was read, as there is no edge.toml; the defaults were checked: configuration is "
        "valid\n"
    )


@pytest.mark.parametrize(
    ("text", "arguments", "endpoint"),
    [
        ("", [], "ipc:///tmp/edge-b.ipc"),
        ("[bus]\nendpoint = 'ipc:///tmp/edge-cam0.ipc'", [], "ipc:///tmp/edge-cam0.ipc"),
        ("", ["--set", "bus.endpoint=ipc:///x"], "ipc:///x"),
        ("", ["--endpoint", "ipc:///y"], "ipc:///y"),
    ],
    ids=["own", "explicit default", "--set", "--endpoint"],
)
def test_a_camera_of_the_command_line_has_an_own_endpoint_unless_one_is_set(
    text: str, arguments: list[str], endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edge.toml").write_text(text)
    ran: list[Settings] = []
    monkeypatch.setattr(
        "edge.tools.console.run_with_console", lambda settings, *_, **__: ran.append(settings)
    )
    command = ["run", "-c", str(tmp_path / "edge.toml"), "--camera", "b", *arguments]
    CliRunner().invoke(commands, command, catch_exceptions=False)
    assert [(settings.camera, settings.bus.endpoint) for settings in ran] == [("b", endpoint)]


def test_doctor_examines_no_built_in_defaults(tmp_path: Path) -> None:
    if Path("/etc/edge").exists():
        pytest.skip("INSTALLED: this machine has instances of its own")
    done = edge(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert '"configuration","state":"skip"' in done.stdout
    assert '"name":"source"' not in done.stdout


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["doctor", *arguments])


def test_the_exit_code_of_doctor_is_for_scripts(tmp_path: Path) -> None:
    healthy = [
        part
        for value in ("source.uri=synthetic:still", f"bus.endpoint=ipc://{tmp_path}/e",
                      f"capture.directory={tmp_path}", "capture.min_free_bytes=0")
        for part in ("--set", value)
    ]  # fmt: skip
    for unwell, code in (((), 0), (("--set", "source.uri=/nowhere.mp4"), 1)):
        done = doctor("--json", *healthy, *unwell)
        states = {finding["name"]: finding["state"] for finding in json.loads(done.stdout)}
        assert (done.exit_code, states["source"]) == (code, "fail" if code else "ok"), states
    assert isinstance(doctor("--set", "motion.floor=x").exception, ConfigError)
    assert ConfigError.exit_code == 2
    assert doctor("--nonsense").exit_code == 2
    for text in ("0 if all is well", "1 if a check fails", "2 for"):
        assert text in " ".join(doctor("--help").output.split())


def test_export_uses_the_captures_of_the_camera_that_is_chosen(installed: Path) -> None:
    for name in ("cam0", "cam1"):
        folder = installed / "captures" / name
        (installed / f"{name}.toml").write_text(f"[capture]\ndirectory = '{folder}'")
        time_ = "2026-03-30T12:00:00.000+02:00"
        event = EventEntry(event_id=f"of-{name}", rule="r", time=time_, latency_ms=1, track=None)
        still = FileEntry(name="a.jpg", kind="still", bytes=3, width=4, height=4, time=time_)
        day = folder / name / time_[:10]
        day.mkdir(parents=True)
        (day / "a.jpg").write_bytes(b"abc")
        Sidecar(camera=name, model="m", events=[event], files=[still]).write(day / "a.json")

    def exported(*arguments: str) -> Result:
        return CliRunner().invoke(commands, ["export", "csv", "-", *arguments])

    assert "of-cam1" in exported("--camera", "cam1").output
    assert "of-cam0" not in exported("--camera", "cam1").output
    assert "choose one, for example --camera cam0" in str(exported().exception)
    (installed / "cam1.toml").unlink()
    assert "of-cam0" in exported().output
