"""The checks of `edge doctor`, on system files that the tests supply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.commands.doctor import show
from edge.config.load import loads
from edge.runtime.machine import THERMAL, THROTTLED
from edge.tools.doctor import Finding, examine
from tests.support import tflite


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A healthy machine."""
    for path, text in {
        THROTTLED: "0\n",
        f"{THERMAL}/thermal_zone0/temp": "45000\n",
        "proc/meminfo": "MemTotal: 500000 kB\nMemAvailable: 400000 kB\n",
        "run/systemd/timesync/synchronized": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def examined(root: Path, **overrides: object) -> dict[str, Finding]:
    settings = loads("", overrides={
        "source.uri": "synthetic:still",
        "capture.directory": str(root / "captures"),
        "capture.min_free_bytes": 0,
        "bus.endpoint": f"ipc://{root}/e.ipc",
    } | {name.replace("__", "."): value for name, value in overrides.items()})  # fmt: skip
    return {finding.name: finding for finding in examine(settings, root)}


def test_a_healthy_machine_passes_every_check(root: Path) -> None:
    findings = examined(root)
    assert {finding.state for finding in findings.values()} == {"ok"}
    assert not any(finding.fix for finding in findings.values())
    assert findings["temperature"].found == "45 °C"


@pytest.mark.parametrize(
    ("file", "text", "name", "state", "found"),
    [
        (THROTTLED, "50005", "power", "fail", "under-voltage, throttled"),
        (THROTTLED, "0x50000", "power", "warn", "was limited since it was switched on (0x50000)"),
        (THROTTLED, "nonsense", "power", "skip", "does not report it"),
        (f"{THERMAL}/thermal_zone0/temp", "76000", "temperature", "warn", "76 °C"),
        (f"{THERMAL}/thermal_zone0/temp", "85000", "temperature", "fail", "85 °C"),
        ("proc/meminfo", "MemAvailable: 100000 kB\n", "memory", "warn", "102 MB free"),
        ("proc/meminfo", "", "memory", "skip", "does not report it"),
    ],
)
def test_each_reading_of_the_machine_is_judged(
    root: Path, file: str, text: str, name: str, state: str, found: str
) -> None:
    (root / file).write_text(text)
    finding = examined(root)[name]
    assert (finding.state, found in finding.found) == (state, True), finding
    assert bool(finding.fix) == (state != "skip")


def test_too_little_space_is_a_failure(root: Path) -> None:
    finding = examined(root, capture__min_free_bytes=10**15)["captures"]
    assert (finding.state, finding.fix) == (
        "fail",
        "free some space or lower capture.min_free_bytes",
    )


def test_the_table_shows_square_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich would take them for markup and drop the extra's name from the command."""
    install = "pip install 'edge-trigger[gpio]'"
    show([Finding("x", "fail", "[bold]", install)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "[bold]" in shown
    assert install in shown


def test_labels_that_do_not_fit_the_model_are_a_warning(root: Path) -> None:
    model = tflite.constant_model([np.zeros((1, 24, 2100), np.float32)])
    path = tflite.saved(root / "m.tflite", model, ["person", "dog"])
    labels = examined(root, model__file=str(path))["labels"]
    assert labels.state == "warn"
    assert "has 2 labels, but the model has 20 classes" in labels.found
