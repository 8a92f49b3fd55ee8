"""The reference of all keys, and settings written as TOML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.commands.config import config_group
from edge.config.explain import KeyDoc, commented, explain, markdown, to_toml
from edge.config.load import load, loads
from edge.config.schema import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_shown_loads_to_the_same() -> None:
    text = '[[zones]]\nname = "z"\npolygon = [[0,0],[1,0],[1,1]]\n[[triggers]]\nname = "a"\n'
    settings = loads(text + 'zones = ["z"]\nlabels = ["a \\"b\\"", "ü", "\\u00a0"]')
    assert loads(to_toml(settings)) == settings
    assert loads(to_toml(Settings())) == Settings()
    assert loads(to_toml(loads("triggers = []"))).triggers == ()
    site = loads("[site]\nlatitude = 0\nlongitude = -4.5\nrights = 'CC0'")
    assert loads(to_toml(site)) == site


def test_every_key_is_explained() -> None:
    rows = explain()
    assert all(isinstance(row, KeyDoc) and row.description and row.type for row in rows)
    assert {"motion.floor", "triggers[].cooldown_s", "camera"} <= {row.key for row in rows}


@pytest.mark.parametrize(
    ("key", "type_", "limits", "default"),
    [
        ("camera", "name of letters, digits, _ and -", "", '"cam0"'),
        ("motion.floor", "number", "from 1 to 255", "14.0"),
        ("motion.learn_s", "number", "from 0.1 to 3600", "4.0"),
        ("capture.max_bytes", "whole number", "from 0 to 1_000_000_000_000_000", "8000000000"),
        ("hooks.exec_limit_s", "number", "more than 0 and at most 3600", "10.0"),
        ("source.loop", "true or false", "", "false"),
        ("zones[].polygon", "polygon of 3 to 100 [x, y] with x and y from 0 to 1", "", ""),
        ("triggers[].of_last", "whole number", "from 1 to 16", "3"),
        (
            "triggers[].schedule",
            "list of FROM-TO, such as 20:00-sunrise",
            "up to 100 entries",
            "[]",
        ),
        ("triggers[].actions", "list of clip, still", "", '["still", "clip"]'),
        ("hooks.input_captures", "non-empty list of clip, still", "", '["still"]'),
        ("hooks.input_pull", "one of down, none, up", "", '"up"'),
        ("site.latitude", "number", "from -90 to 90", ""),
    ],
)
def test_types_and_limits_in_words(key: str, type_: str, limits: str, default: str) -> None:
    (row,) = (row for row in explain() if row.key == key)
    assert (row.type, row.range, row.default) == (type_, limits, default)


def test_the_commented_file_has_every_key_and_its_default(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") if not line.startswith("# ") else line
             for line in commented().splitlines()]  # fmt: skip
    settings = loads("\n".join(lines))
    assert settings.motion == Settings().motion
    assert [zone.name for zone in settings.zones] == ["path"]
    (tmp_path / "edge.toml").write_text(commented())
    assert load(tmp_path / "edge.toml") == Settings()


def test_descriptions_are_short_and_survive_a_markdown_table() -> None:
    for row in explain():
        assert len(row.description) <= 100, row.key
        assert not re.search(r"[|<>\n]", row.description), row.key


def test_a_key_is_explained_on_the_command_line() -> None:
    runner = CliRunner()
    done = runner.invoke(config_group, ["explain", "zones"])
    assert "zones[].name  name of letters, digits, _ and -, required\n" in done.output
    done = runner.invoke(config_group, ["explain", "motion.floor"])
    assert done.output.startswith("motion.floor  number, from 1 to 255, default 14.0\n    ")
    done = runner.invoke(config_group, ["explain", "site.latitude"])
    assert done.output.startswith("site.latitude  number, from -90 to 90, optional\n    ")
    done = runner.invoke(config_group, ["explain", "motion.flor"])
    assert (done.exit_code, "did you mean motion.floor?" in done.output) == (2, True)


def test_generated_files_are_up_to_date() -> None:
    assert (ROOT / "systemd" / "edge.toml").read_text() == commented(), "make schemas"
    assert markdown() in (ROOT / "docs" / "configuration.md").read_text(), "make schemas"
