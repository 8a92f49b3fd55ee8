"""Finds and ends all processes that a command has started, also those in sessions of their own.

Each command gets a variable in its environment, which its descendants inherit and whose value no
other command has. A program that replaces its whole environment is not found; the service's control
group ends it when the service stops.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "EDGE_HOOK"
ROUNDS: Final = 5  # a process may start another one while it is searched for
ENVIRONMENT_BYTES: Final = 1 << 18  # read of each process; twice the usual limit of one variable

Mark = dict[str, str]


def new_mark() -> Mark:
    """A variable for the environment of one command."""
    return {VARIABLE: secrets.token_hex(8)}


def kill(mark: Mark) -> None:
    """Ends all processes with the mark that this user may end; waits for none."""
    entry = b"".join(f"{name}={value}".encode() for name, value in mark.items())
    for _ in range(ROUNDS):
        if not sum(_end(pid, entry) for pid in _processes()):
            return


def _processes() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _end(pid: int, entry: bytes) -> bool:
    """Whether the process has the mark. The descriptor keeps its number from being reused."""
    if pid == os.getpid():
        return False
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with Path(f"/proc/{pid}/environ").open("rb") as stream:
            marked = entry in stream.read(ENVIRONMENT_BYTES).split(b"\0")
        if marked:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        return marked
    except OSError:  # of another user, or it has ended
        return False
    finally:
        os.close(process)
