"""Settings that only a camera follows are refused for every other source."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.commands.config import check_config
from edge.config.schema import SourceSettings
from edge.errors import ConfigError, SourceError
from edge.sources import check, open_source

DEVICE = "/dev/null"  # a character device, as /dev/video0 is
OTHERS = (
    DEVICE, "v4l2:/dev/video0", "{folder}", "{folder}/1.png", "rtsp://camera/1",
    "http://camera/video", "synthetic:walk", "/dev/video99",
)  # fmt: skip
SETTINGS = ({"upside_down": True}, {"focus_m": 0.5})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((64, 64, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: next(iter(setting)))
@pytest.mark.parametrize("uri", OTHERS)
def test_a_setting_that_has_no_effect_is_a_problem(uri: str, setting: dict, folder: Path) -> None:
    uri = uri.format(folder=folder)
    (name,) = setting
    (problem,) = check(SourceSettings(uri=uri, **setting))
    assert problem.startswith(f"source.{name}: only a picamera2 camera can ")
    assert uri in problem


@pytest.mark.parametrize("uri", [uri for uri in OTHERS if uri != "/dev/video99"])
def test_such_a_source_is_not_opened(uri: str, folder: Path) -> None:
    settings = SourceSettings(uri=uri.format(folder=folder), upside_down=True, focus_m=0.5)
    with pytest.raises(ConfigError) as caught:
        open_source(settings)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "source.upside_down", "source.focus_m",
    ]  # fmt: skip


def test_a_camera_follows_them_and_a_source_without_them_has_no_problem(folder: Path) -> None:
    assert check(SourceSettings(uri="picamera2:1", upside_down=True, focus_m=2)) == []
    for uri in OTHERS:
        assert check(SourceSettings(uri=uri.format(folder=folder))) == []


def test_the_settings_of_a_camera_are_no_problem_for_its_recordings(folder: Path) -> None:
    settings = SourceSettings(uri=str(folder), upside_down=True, focus_m=0.5)
    source = open_source(settings, recording=True)
    assert source.open().main_size == (64, 64)
    source.close()


def test_check_config_reports_them(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[source]\nuri = "/dev/null"\nupside_down = true\nfocus_m = 1.0\n')
    result = CliRunner().invoke(check_config, [str(file)])
    assert isinstance(result.exception, ConfigError)
    assert [problem.partition(":")[0] for problem in result.exception.problems] == [
        "source.upside_down",
        "source.focus_m",
        str(file),
    ]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    with pytest.raises(SourceError, match=r"not a regular file; .* udp://"):
        open_source(SourceSettings(uri=str(tmp_path / "v.mp4")))
