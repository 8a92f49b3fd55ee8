"""`edge` commands in one process, one after another: of most, the start takes most of the time.

Commands that start threads, read a terminal or are ended by a signal need a process of their own.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.attack.victim import Victim

LIMIT_S = 60.0


def edge(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `edge` in a folder; without one, in that for temporary files."""
    words = [str(argument) for argument in arguments]
    done = _process().run(*words, limit_s=LIMIT_S, folder=folder)
    assert done.code is not None, done.text
    return subprocess.CompletedProcess(words, done.code, done.stdout, done.stderr)


@cache
def _process() -> Victim:
    """It ends with this one, when nothing can be read any more."""
    return Victim(Path(tempfile.gettempdir()))
