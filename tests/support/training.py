"""Starts `edge-train` as a process of its own."""

from __future__ import annotations

import subprocess
import sys


def edge_train(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mobiledet.cli", *map(str, arguments)]


def completed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        edge_train(*arguments), check=False, capture_output=True, text=True, timeout=900
    )
