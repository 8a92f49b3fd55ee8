"""TensorFlow Lite's own lines don't reach standard error, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.vision.detector.runtime import installed_runtimes


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_a_runtime_prints_nothing_when_a_model_is_opened(runtime: str) -> None:
    script = (
        "from edge.config.schema import ModelSettings\n"
        "from edge.vision.detector import Detector\n"
        "from edge.vision.detector.catalogue import find_model\n"
        f"settings = ModelSettings(runtime={runtime!r})\n"
        "Detector(settings, find_model(settings.file))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_line_of_a_daemon_is_json_where_that_is_chosen(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", "run", "--config", "/dev/null", "--fast",
         "--set", "source.uri=synthetic:visits?duration=2", "--log-format", "json",
         "--set", f"bus.endpoint=ipc://{tmp_path}/e.ipc",
         "--set", f"capture.directory={tmp_path}/captures", "--set", "capture.min_free_bytes=0"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert all(json.loads(line)["msg"] for line in done.stderr.splitlines())
    assert done.stderr
