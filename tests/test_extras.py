"""An extra that is not installed ends its own command with one sentence, and affects no other."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOOKED = ["--set", "triggers=[{name='x', gpio=17}]"]

MISSING = {  # extra: its package, a command that needs it, how to install it
    "mqtt": ("paho", ["edge", "bridge", "mqtt"], "pip install 'edge-trigger[mqtt]'"),
    "notify": ("apprise", ["edge", "bridge", "notify"], "pip install 'edge-trigger[notify]'"),
    "prometheus": (
        "prometheus_client", ["edge", "bridge", "prometheus"],
        "pip install 'edge-trigger[prometheus]'",
    ),
    "web": ("starlette", ["edge", "view"], "pip install 'edge-trigger[web]'"),
    "gpio": (
        "gpiozero", ["edge", "run", "--source", "synthetic:still?duration=1", *HOOKED],
        "pip install 'edge-trigger[gpio]'",
    ),
    "bench": (
        "motmetrics", ["edge", "bench", "accuracy", "--video", "v", "--ground-truth", "g"],
        "pip install 'edge-trigger[bench]'",
    ),
    "train": ("tensorflow", ["edge-train", "zoo"], "pip install ./models/mobiledet"),
    "picamera2": (
        "picamera2", ["edge", "run", "--source", "picamera2:0"],
        "sudo apt install python3-picamera2",
    ),
    "tflite-runtime": (
        "tflite_runtime",
        ["edge", "run", "--source", "synthetic:still?duration=1",
         "--set", "model.runtime=tflite-runtime"],
        "pip install tflite-runtime",
    ),
}  # fmt: skip
MAIN = {"edge": "edge.cli", "edge-train": "mobiledet.cli"}


def run_without(
    packages: list[str], command: list[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a command as if these packages were not installed."""
    program, *arguments = command
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({packages!r})); "
        f"sys.argv = {[program, *arguments]!r}; from {MAIN[program]} import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=folder
    )


def test_each_extra_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*project["optional-dependencies"], "train"} - {"dev", "docs", "test"} == set(MISSING)


@pytest.mark.parametrize("extra", MISSING)
def test_a_missing_extra_is_one_sentence_with_the_command_that_installs_it(
    extra: str, tmp_path: Path
) -> None:
    package, command, install = MISSING[extra]
    endpoint = ["--set", f"bus.endpoint=ipc://{tmp_path}/e.ipc"] if "run" in command else []
    done = run_without([package], [*command, *endpoint], tmp_path)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("edge: ")]
    assert len(lines) == 1, done.stderr
    assert install in lines[0]
    assert "Traceback" not in done.stderr


def test_the_core_imports_none_of_them(tmp_path: Path) -> None:
    """An extra costs neither time nor memory where it is not used."""
    packages = [package for package, _, _ in MISSING.values()] + ["uvicorn", "tomlkit", "anyio"]
    done = run_without(
        packages,
        ["edge", "run", "--fast", "--source", "synthetic:walk?duration=2",
         "--capture-dir", str(tmp_path), "--set", f"bus.endpoint=ipc://{tmp_path}/e.ipc"],
        tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
