"""The number of files and sockets that this process may have open."""

from __future__ import annotations

import errno
import os
import resource
import time
from pathlib import Path
from typing import Final

# Errors that say nothing about the file: the process or the machine lacks descriptors or memory.
LACKING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})

WAIT_S: Final = 1.0  # connections beyond the limit end within a fraction of it, even under load
STEP_S: Final = 0.01


def open_soon(path: str | Path, flags: int, mode: int = 0o777, dir_fd: int | None = None) -> int:
    """As `os.open`, but waits up to `WAIT_S` while the process or the machine lacks descriptors.

    A flood of connections takes descriptors for a moment, and must not cost a capture. Raises
    OSError.
    """
    end_s = time.monotonic() + WAIT_S
    while True:
        try:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or time.monotonic() > end_s:
                raise
        time.sleep(STEP_S)


def raise_limit() -> int:
    """Raises the soft limit to the hard one and returns it.

    Only for a program that does not call select(2), which can't use descriptors above 1023.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # forbidden by a sandbox: the soft limit stays
        return soft
    return hard


def limit() -> int:
    """The present soft limit; larger than 2^30 counts as 2^30, which stands for none."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if 0 <= soft < 1 << 30 else 1 << 30


def free() -> int:
    """The number of files that this process can still open; less than 0 below a lowered limit.

    Where the system has no /proc it is the limit.
    """
    try:
        return limit() - sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError as error:
        return 0 if error.errno in LACKING else limit()
