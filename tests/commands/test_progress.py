"""Commands that take long show what they do on a terminal, and nothing in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.bench.stages import default_source

SCENE = "synthetic:people?duration=1"
BENCH = default_source(None).replace("duration=60", "duration=6")
COMMANDS = {
    "checking this machine": ("doctor", "--json", "--set", "source.uri=synthetic:still"),
    "frames": ("replay", SCENE, "--out", "o.mp4", "--report", "r.html"),
    "measuring the stages": ("bench", "stages", "--source", BENCH),
    "reading the captures": ("export", "csv", "-", "--captures", "."),
}


def started(folder: Path, shown: str, stderr: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge.cli", *COMMANDS[shown]], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=stderr, cwd=folder,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip


def read_all(terminal: int) -> Iterator[bytes]:
    """What is printed at a terminal, until its last program ends."""
    with suppress(OSError):  # EIO: the other end is closed
        while data := os.read(terminal, 10_000):
            yield data


@pytest.mark.parametrize("shown", COMMANDS)
def test_a_terminal_shows_what_is_done(shown: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = started(tmp_path, shown, theirs)
    os.close(theirs)
    printed = b"".join(read_all(ours))
    os.close(ours)
    process.communicate(timeout=60)
    assert shown.encode() in printed


def test_a_pipe_shows_results_only(tmp_path: Path) -> None:
    shown = "frames"
    results, errors = started(tmp_path, shown, subprocess.PIPE).communicate(timeout=60)
    assert results
    assert shown not in errors
    assert "\x1b" not in results + errors
