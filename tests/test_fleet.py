"""Configuration for many cameras, alert rules, and a broker with many cameras."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.config.dropins import MAX_FILES, drop_ins
from edge.config.load import load
from edge.errors import ConfigError
from tests.support.mosquitto import BINARY

ROOT = Path(__file__).resolve().parent.parent
PROMTOOL = shutil.which("promtool")


def written(folder: Path, **texts: str) -> Path:
    """Files by path with __ for /; returns cam0.toml."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/').replace('_d/', '.d/')}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "cam0.toml"


def test_drop_ins_override_key_by_key_in_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cam0='camera = "cam0"\n[capture]\njpeg_quality = 50\nmax_age_days = 1\n',
        edge_d__20="[capture]\njpeg_quality = 70\npost_roll_s = 6\n",
        edge_d__10="[capture]\njpeg_quality = 60\npre_roll_s = 1\n",
        cam0_d__a='[capture]\npre_roll_s = 2\n[mqtt]\nhost = "broker"\n',
        cam1_d__a='camera = "wrong"\n',
    )
    (tmp_path / "edge.d/notes.txt").write_text("not TOML")
    (tmp_path / "edge.d/.swap.toml").write_text("not TOML")
    assert [file.name for file in drop_ins(path)] == ["10.toml", "20.toml", "a.toml"]
    settings = load(path, {"capture.max_age_days": "3"})
    assert (settings.camera, settings.mqtt.host) == ("cam0", "broker")
    capture = settings.capture
    assert (capture.jpeg_quality, capture.pre_roll_s, capture.post_roll_s) == (70, 2, 6)
    assert capture.max_age_days == 3


def test_lists_of_a_drop_in_replace_the_whole_list(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cam0='[[triggers]]\nname = "a"\n[[triggers]]\nname = "b"\n',
        edge_d__rules='[[triggers]]\nname = "c"\n',
    )
    assert [rule.name for rule in load(path).triggers] == ["c"]


def test_problems_name_the_drop_in_and_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cam0="[capture]\njpeg_quality = 50\n",
        edge_d__site="# site\n[capture]\njpeg_quality = 500\n",
        cam0_d__own="[motion]\nsensitivity_ = 1\n",
    )
    with pytest.raises(ConfigError) as raised:
        load(path)
    first, second = sorted(raised.value.problems)
    assert first.startswith(f"{tmp_path}/cam0.d/own.toml:2: motion.sensitivity_")
    assert second.startswith(f"{tmp_path}/edge.d/site.toml:3: capture.jpeg_quality")


@pytest.mark.parametrize("text", ["[capture\n", "x = 1\nx = 2\n"])
def test_a_drop_in_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, cam0="", edge_d__bad=text)
    with pytest.raises(ConfigError, match=r"edge\.d/bad\.toml:\d: not valid TOML"):
        load(path)


def test_a_section_against_a_value_is_an_error_and_too_many_files_are(tmp_path: Path) -> None:
    path = written(tmp_path, cam0="capture = 1\n", edge_d__a="[capture]\njpeg_quality = 70\n")
    assert load(path).capture.jpeg_quality == 70
    written(tmp_path, edge_d__b="capture = 2\n")
    with pytest.raises(ConfigError, match=r"b\.toml:1: capture"):
        load(path)
    for number in range(MAX_FILES):
        written(tmp_path, **{f"cam0_d__{number}": ""})
    with pytest.raises(ConfigError, match=r"drop-ins for cam0\.toml"):
        load(path)
    (tmp_path / "cam9.d").write_text("a file")
    assert len(drop_ins(tmp_path / "cam9.toml")) == 2


@pytest.mark.skipif(
    PROMTOOL is None, reason="NO PROMTOOL: apt-get install prometheus; the alerts were not tested"
)
def test_alert_rules_are_valid_and_fire(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = ROOT / "dashboards/alerts.yml"
    for command in (["check", "rules", str(rules)],
                    ["test", "rules", str(ROOT / "tests/support/alerts_test.yml")]):  # fmt: skip
        done = subprocess.run([PROMTOOL, *command], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    BINARY is None, reason="NO MOSQUITTO: apt-get install mosquitto; no fleet was simulated"
)
def test_a_small_fleet_loses_no_trigger_and_its_dead_are_noticed() -> None:
    """`python -m tests.faults.fleet --cameras 1000` is the same with more."""
    from tests.faults.fleet import Load, simulate

    lines: list[str] = []
    watcher = simulate(Load(12, 3, trigger_s=0.5, seconds=1.5, freeze=False), lines.append)
    assert len(watcher.ids) > 5
    assert [line.split(",")[0] for line in lines if "dead" in line] == ["4 dead"]
    assert "8 cameras online again" in lines[-1]
